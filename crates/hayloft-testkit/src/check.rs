use std::fmt;

use hayloft_feed::{
    Coordinates, FeedType, FeedTypeError, HistoryEntry, Identity, Inspected, Limits, Purl,
    Qualifiers, Version,
};

use crate::damage;
use crate::in_memory::{history_entry, repackage};
use crate::members::{Filled, names};
use crate::sample::Sample;

/// Holds a feed type against the contract that the store relies on.
///
/// `samples` are sound packages of the type, as small as they can be: each is damaged and read
/// again some hundreds of times. `new_version` is a version that none of them has.
///
/// # Panics
///
/// With the rule that is broken, the sample, and what was seen.
pub fn check(feed_type: &dyn FeedType, samples: &[Sample], new_version: &str) {
    assert!(!samples.is_empty(), "check needs at least one sample package");
    tags_are_lower_case(feed_type);
    strange_text_is_refused_or_harmless(feed_type);
    groups_are_kept_or_refused(feed_type);
    let new = feed_type.version(new_version).unwrap_or_else(|error| {
        panic!("the new version `{new_version}` must be valid for the type: {}", chain(&error))
    });
    let mut versions = vec![new.clone()];
    for sample in samples {
        let found = inspects_equally_twice(feed_type, sample);
        assert!(
            found.identity.version != new,
            "{}: already has the version {new_version}; choose another one to repackage to",
            sample.label()
        );
        versions.push(found.identity.version.clone());
        manifest_is_a_json_object(sample, &found);
        package_is_found_as_it_is_called(sample, &found.identity);
        identity_reads_back(feed_type, sample, &found.identity);
        file_name_is_one_segment(feed_type, sample, &found.identity);
        file_name_tells_the_version(feed_type, sample, &found.identity, &new);
        stored_name_keeps_the_identity(feed_type, sample, &found.identity);
        repackages_to_exactly_the_target(feed_type, sample, &found, &new);
        damage::limits_are_respected(feed_type, sample, &found);
        damage::damaged_files_are_the_files_fault(feed_type, sample, &found, &new);
        damage::broken_storage_is_not_the_files_fault(feed_type, sample, &found, &new);
    }
    ranks_are_prefix_free_and_agree_with_identity(&versions);
}

/// Holds the versions of a feed type against a table: each is valid, and sorts after the one
/// before it.
///
/// # Panics
///
/// With the pair that is in the wrong order.
pub fn check_order(feed_type: &dyn FeedType, ascending: &[&str]) {
    let versions: Vec<Version> = ascending
        .iter()
        .map(|text| {
            feed_type
                .version(text)
                .unwrap_or_else(|error| panic!("`{text}` must be valid: {}", chain(&error)))
        })
        .collect();
    for (at, lower) in versions.iter().enumerate() {
        for higher in versions.iter().skip(at + 1) {
            assert!(
                lower.sort_key() < higher.sort_key(),
                "{lower} must sort before {higher}: {:?} is not below {:?}",
                lower.sort_key(),
                higher.sort_key()
            );
        }
    }
    ranks_are_prefix_free_and_agree_with_identity(&versions);
}

fn tags_are_lower_case(feed_type: &dyn FeedType) {
    for tag in [feed_type.tag(), feed_type.package_type()] {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(
            tag.starts_with(|first: char| first.is_ascii_lowercase())
                && tag.len() <= 32
                && tag.bytes().all(plain),
            "tag: `{tag}` must be 1 to 32 of a-z, 0-9 and `-`, beginning with a letter"
        );
    }
    assert!(feed_type.revision() > 0, "revision: counts from 1");
    for key in feed_type.remembered_qualifiers() {
        assert!(
            *key == key.to_ascii_lowercase(),
            "remembered qualifiers: `{key}` is not lower case"
        );
    }
    assert!(
        feed_type.qualifiers(&Qualifiers::none()).is_ok(),
        "qualifiers: a request without any must be answered"
    );
}

fn strange_text_is_refused_or_harmless(feed_type: &dyn FeedType) {
    let long = "9".repeat(100_000);
    let dotted = "1.".repeat(50_000);
    let strange = [
        "",
        " ",
        ".",
        "..",
        "/",
        "\\",
        "a/b",
        "../a",
        "a\\b",
        "C:a",
        "a\0b",
        "a\u{1}b",
        "\n",
        "%00",
        "ä",
        "\u{202e}a",
        "😀",
        "-",
        "+",
        "~",
        ":",
        "1:",
        ":1",
        "1..2",
        "1.0-",
        "1.0+",
        "v1",
        "1.0\n",
        "İ",
        "ſ",
        "@",
        "@/",
        "@a/b",
        "__proto__",
        "con",
        "nul.txt",
        &long,
        &dotted,
    ];
    for text in strange {
        for (group, name) in [("", text), (text, "a"), (text, text)] {
            blame_the_input("package_name", text, feed_type.package_name(group, name).err());
        }
        blame_the_input("version", text, feed_type.version(text).err());
        blame_the_input("lookup_version", text, feed_type.lookup_version(text).err());
        for key in ["arch", "file", "a", text] {
            if let Ok(asked) = Qualifiers::from_pairs([(key, text)]) {
                blame_the_input("qualifiers", text, feed_type.qualifiers(&asked).err());
            }
        }
        if let Ok(package) = feed_type.package_name("", text)
            && let Ok(version) = feed_type.version("1.0.0")
        {
            let identity = Identity { package, version, qualifiers: Qualifiers::none() };
            assert_safe_segment(&feed_type.file_name(&identity), &format!("name `{text}`"));
        }
    }
    assert!(feed_type.package_name("", "").is_err(), "package_name: an empty name must be refused");
    assert!(feed_type.version("").is_err(), "version: empty text must be refused");
}

/// A type without groups refuses them: what is dropped makes two packages one.
fn groups_are_kept_or_refused(feed_type: &dyn FeedType) {
    const NAME: &str = "hay";
    let groups = ["loft", "@loft", "org.loft", "org/loft"];
    let plain = feed_type.package_name("", NAME).ok();
    for group in groups {
        let Ok(package) = feed_type.package_name(group, NAME) else { continue };
        assert!(
            !package.group().is_empty() && plain.as_ref() != Some(&package),
            "package_name: the group `{group}` is dropped; refuse groups if the type has none"
        );
    }
}

fn package_is_found_as_it_is_called(sample: &Sample, identity: &Identity) {
    if let Some(called) = sample.package() {
        let found = (identity.package.group(), identity.package.name());
        assert_eq!(
            found,
            called,
            "{}: inspect must find group and name of the package",
            sample.label()
        );
    }
}

/// Else one version would overwrite another in the folder of whoever downloads both.
fn file_name_tells_the_version(
    feed_type: &dyn FeedType,
    sample: &Sample,
    identity: &Identity,
    new: &Version,
) {
    if let Ok(other) = feed_type.retarget(identity, new) {
        let (one, other) = (feed_type.file_name(identity), feed_type.file_name(&other));
        assert!(
            one != other,
            "{}: file_name must tell the version, but {} and {new} are both `{one}`",
            sample.label(),
            identity.version
        );
    }
}

fn blame_the_input(method: &str, text: &str, error: Option<FeedTypeError>) {
    if let Some(error) = error {
        assert!(
            error.is_input(),
            "{method}: `{}` must not be an I/O error: {}",
            hayloft_feed::shorten(text),
            chain(&error)
        );
    }
}

fn inspects_equally_twice(feed_type: &dyn FeedType, sample: &Sample) -> Inspected {
    let limits = Limits::default();
    let found = sample.inspect(feed_type, &limits).unwrap_or_else(|error| {
        panic!("{}: inspect must accept a sound sample: {}", sample.label(), chain(&error))
    });
    let again = sample.inspect(feed_type, &limits).unwrap_or_else(|error| {
        panic!("{}: inspect refused the second time: {}", sample.label(), chain(&error))
    });
    assert_same_identity(sample, "inspect, second run", &again.identity, &found.identity);
    assert_eq!(
        (again.manifest, again.documents, again.warnings),
        (found.manifest.clone(), found.documents.clone(), found.warnings.clone()),
        "{}: inspect must be deterministic",
        sample.label()
    );
    found
}

pub(crate) fn manifest_is_a_json_object(sample: &Sample, found: &Inspected) {
    if let Err(error) = hayloft_feed::json::Object::parse(&found.manifest) {
        panic!("{}: the manifest must be a JSON object: {error}", sample.label());
    }
    for (at, document) in found.documents.iter().enumerate() {
        assert!(
            found.documents.iter().skip(at + 1).all(|other| other.name != document.name),
            "{}: two documents are called `{}`",
            sample.label(),
            document.name
        );
    }
}

/// Identify, look-up and package URL of what inspect found lead back to it.
fn identity_reads_back(feed_type: &dyn FeedType, sample: &Sample, identity: &Identity) {
    let asked = Coordinates {
        group: identity.package.group().to_owned(),
        name: identity.package.name().to_owned(),
        version: identity.version.text().to_owned(),
        qualifiers: identity.qualifiers.clone(),
    };
    let identified = feed_type.identify(&asked).unwrap_or_else(|error| {
        panic!("{}: identify must accept what inspect found: {}", sample.label(), chain(&error))
    });
    assert_same_identity(sample, "identify", &identified, identity);
    let looked_up = feed_type.lookup_version(identity.version.text()).unwrap_or_else(|error| {
        panic!("{}: lookup_version must accept a stored version: {}", sample.label(), chain(&error))
    });
    assert_eq!(
        (looked_up.identity(), looked_up.sort_key()),
        (identity.version.identity(), identity.version.sort_key()),
        "{}: lookup_version must find the version that inspect found",
        sample.label()
    );

    let purl = feed_type.purl(identity);
    let text = purl.to_string();
    let read: Purl = text.parse().unwrap_or_else(|error| {
        panic!("{}: the package URL {text} must be well formed: {error}", sample.label())
    });
    let coordinates = feed_type.coordinates(&read).unwrap_or_else(|error| {
        panic!("{}: coordinates must accept {text}: {}", sample.label(), chain(&error))
    });
    let again = feed_type.identify(&coordinates).unwrap_or_else(|error| {
        panic!("{}: identify must accept the parts of {text}: {}", sample.label(), chain(&error))
    });
    assert_same_identity(sample, &format!("the package URL {text}"), &again, identity);
    let foreign = Purl { package_type: "not-this-type".to_owned(), ..read };
    assert!(
        feed_type.coordinates(&foreign).is_err(),
        "{}: coordinates must refuse a package URL of another type",
        sample.label()
    );
}

fn file_name_is_one_segment(feed_type: &dyn FeedType, sample: &Sample, identity: &Identity) {
    assert_safe_segment(&feed_type.file_name(identity), sample.label());
}

fn assert_safe_segment(file_name: &str, of: &str) {
    let unsafe_character =
        file_name.chars().find(|shown| shown.is_control() || r#"/\<>:"|?*"#.contains(*shown));
    assert!(
        unsafe_character.is_none()
            && !matches!(file_name, "" | "." | "..")
            && file_name.len() <= 1024,
        "{}: file_name must be one safe path segment, not `{}`",
        hayloft_feed::shorten(of),
        hayloft_feed::shorten(file_name)
    );
}

/// A file that is downloaded and uploaded again, with what the store knows of it, stays itself.
fn stored_name_keeps_the_identity(feed_type: &dyn FeedType, sample: &Sample, identity: &Identity) {
    let file_name = feed_type.file_name(identity);
    let stored = sample.stored_as(&file_name, &identity.qualifiers);
    let found = stored.inspect(feed_type, &Limits::default()).unwrap_or_else(|error| {
        panic!(
            "{}: inspect must accept the file under its own name `{file_name}`: {}",
            sample.label(),
            chain(&error)
        )
    });
    assert_same_identity(sample, "inspect under its own file name", &found.identity, identity);
}

fn repackages_to_exactly_the_target(
    feed_type: &dyn FeedType,
    sample: &Sample,
    found: &Inspected,
    new: &Version,
) {
    let label = sample.label();
    let from = &found.identity;
    let entry = history_entry(from, sample.bytes());
    let result = repackage(feed_type, sample.bytes(), from, new.text(), &entry);
    if !sample.is_repackageable() {
        assert!(
            matches!(result, Err(FeedTypeError::NotRepackageable { .. })),
            "{label}: repackage must answer `NotRepackageable`"
        );
        return;
    }
    let (bytes, done) = result
        .unwrap_or_else(|error| panic!("{label}: repackage to {new} failed: {}", chain(&error)));
    let (again, done_again) = repackage(feed_type, sample.bytes(), from, new.text(), &entry)
        .unwrap_or_else(|error| panic!("{label}: repackage failed twice: {}", chain(&error)));
    assert!(bytes == again && done == done_again, "{label}: repackage must be deterministic");
    assert!(bytes != sample.bytes(), "{label}: repackage must change the file");

    members_are_all_there(sample, from, new, &bytes, &done);
    let to = feed_type
        .retarget(from, new)
        .unwrap_or_else(|error| panic!("{label}: retarget to {new} failed: {}", chain(&error)));
    assert!(to.package == from.package, "{label}: retarget must keep group and name");
    assert!(to.version == *new, "{label}: retarget must give the version asked for");
    let file_name = feed_type.file_name(&to);
    assert_safe_segment(&file_name, label);
    identity_reads_back(feed_type, sample, &to);

    let result = sample.with_bytes(bytes.clone()).stored_as(&file_name, &to.qualifiers);
    let result = result.inspect(feed_type, &Limits::default()).unwrap_or_else(|error| {
        panic!("{label}: inspect must accept the repackaged file: {}", chain(&error))
    });
    assert_same_identity(sample, "inspect of the repackaged file", &result.identity, &to);
    assert!(
        result.identity.package.spelled() == from.package.spelled(),
        "{label}: repackage must keep the spelling of group and name"
    );
    assert_eq!(result.role, found.role, "{label}: repackage must keep the file's role");
    let expected_entry =
        if done.signatures_removed.is_empty() { entry } else { entry.with_signature_removed() };
    history_is_continued(label, &found.history, &expected_entry, &result.history);

    let back_entry = history_entry(&to, &bytes);
    let (back, _) = repackage(feed_type, &bytes, &to, from.version.text(), &back_entry)
        .unwrap_or_else(|error| {
            panic!("{label}: repackaging the repackaged file failed: {}", chain(&error))
        });
    let home = feed_type.retarget(&to, &from.version).unwrap_or_else(|error| {
        panic!("{label}: retarget back to {} failed: {}", from.version, chain(&error))
    });
    let back = sample.with_bytes(back).stored_as(&feed_type.file_name(&home), &home.qualifiers);
    let back = back.inspect(feed_type, &Limits::default()).unwrap_or_else(|error| {
        panic!("{label}: inspect must accept a file repackaged twice: {}", chain(&error))
    });
    assert_same_identity(sample, "inspect of the file repackaged back", &back.identity, &home);
    history_is_continued(label, &result.history, &back_entry, &back.history);
}

/// No file inside goes missing or loses its content, but for signatures that are said to be removed.
/// Names may follow the version.
fn members_are_all_there(
    sample: &Sample,
    from: &Identity,
    new: &Version,
    result: &[u8],
    done: &hayloft_feed::Repackaged,
) {
    let after = names(result);
    let texts = [from.version.text(), from.version.identity()];
    let moved = |name: &str| -> Vec<String> {
        let renamed = texts
            .iter()
            .flat_map(|old| [new.text(), new.identity()].map(|new| name.replace(old, new)));
        std::iter::once(name.to_owned()).chain(renamed).collect()
    };
    for (name, filled) in names(sample.bytes()) {
        let kept = moved(&name).into_iter().any(|name| {
            after.contains(&(name.clone(), filled)) || after.contains(&(name, Filled::Yes))
        });
        assert!(
            kept || done.signatures_removed.contains(&name) || sample.may_lose(&name),
            "{}: repackage must keep the content of `{name}`; there are {after:?}",
            sample.label()
        );
    }
}

fn history_is_continued(
    label: &str,
    before: &[HistoryEntry],
    entry: &HistoryEntry,
    after: &[HistoryEntry],
) {
    let expected: Vec<_> = before.iter().chain([entry]).collect();
    assert!(
        after.iter().eq(expected.iter().copied()),
        "{label}: the history must be the old one and then the new entry;\n \
         expected {expected:#?}\n but found {after:#?}"
    );
}

fn ranks_are_prefix_free_and_agree_with_identity(versions: &[Version]) {
    for (at, one) in versions.iter().enumerate() {
        let key = one.sort_key().as_bytes();
        assert!(!key.is_empty(), "sort key of {one}: is empty");
        for other in versions.iter().skip(at + 1) {
            let other_key = other.sort_key().as_bytes();
            if one == other {
                assert_eq!(
                    key, other_key,
                    "{one} equals {other}, so their sort keys must be equal"
                );
            }
            assert!(
                key == other_key || !(key.starts_with(other_key) || other_key.starts_with(key)),
                "the sort key of {one} or {other} is the beginning of the other one"
            );
        }
    }
}

fn assert_same_identity(sample: &Sample, rule: &str, seen: &Identity, expected: &Identity) {
    let same = seen.package == expected.package
        && seen.version == expected.version
        && seen.version.text() == expected.version.text()
        && seen.version.sort_key() == expected.version.sort_key()
        && seen.version.stability() == expected.version.stability()
        && seen.qualifiers.key() == expected.qualifiers.key();
    assert!(same, "{}: {rule} must give {}, not {}", sample.label(), Shown(expected), Shown(seen));
}

struct Shown<'a>(&'a Identity);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { package, version, qualifiers } = self.0;
        write!(out, "{} {version}", package.spelled())?;
        if version.text() != version.identity() {
            write!(out, " (= {})", version.identity())?;
        }
        if !qualifiers.is_empty() {
            write!(out, " [{qualifiers}]")?;
        }
        Ok(())
    }
}

/// An error with all its sources, as a person sees it.
pub(crate) fn chain(error: &FeedTypeError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
