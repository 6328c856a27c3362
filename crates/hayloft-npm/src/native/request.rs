use hayloft_feed::native::segments;
use hayloft_feed::{NameKey, PackageName};

use crate::NpmName;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) target: Target,
}

/// The things that have a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Packument(Name),
    /// A version or a tag.
    Version(Name, String),
    /// A file name.
    Tarball(Name, String),
    /// The packument at a revision, `/{name}/-rev/{revision}`.
    Revision(Name, String),
    /// A tarball at a revision.
    TarballRevision(Name, String, String),
    Tags(Name),
    Tag(Name, String),
    Search,
    Ping,
    WhoAmI,
    Profile,
    Tokens,
    /// One token of whoever asks.
    Token,
    Keys,
    /// An account by its name.
    User(String),
    Advisories,
    Audit,
}

/// A checked package name.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    pub(crate) npm: NpmName,
    pub(crate) package: PackageName,
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.npm == other.npm
    }
}

impl Eq for Name {}

impl Name {
    fn of(text: &str) -> Option<Self> {
        let npm: NpmName = text.parse().ok()?;
        let package = npm.package().ok()?;
        Some(Self { npm, package })
    }

    pub(crate) fn key(&self) -> &NameKey {
        self.package.key()
    }
}

impl Asked {
    /// Reads a raw path. A scope may be a segment of its own or be joined to the name by an encoded
    /// slash, its `@` may be encoded too: clients send all of these.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let segments = segments(path)?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let target = match segments.as_slice() {
            ["-", rest @ ..] => special(rest)?,
            segments => {
                let (name, rest) = name(segments)?;
                of_package(name, rest)?
            }
        };
        Some(Self { target })
    }
}

/// The name that segments begin with, and what follows it.
fn name<'s, 'p>(segments: &'s [&'p str]) -> Option<(Name, &'s [&'p str])> {
    match segments {
        [scope, name, rest @ ..] if scope.starts_with('@') && !scope.contains('/') => {
            Some((Name::of(&format!("{scope}/{name}"))?, rest))
        }
        [name, rest @ ..] => Some((Name::of(name)?, rest)),
        [] => None,
    }
}

fn of_package(name: Name, rest: &[&str]) -> Option<Target> {
    Some(match rest {
        [] => Target::Packument(name),
        ["-rev", revision] => Target::Revision(name, (*revision).to_owned()),
        ["-", file @ .., "-rev", revision] => {
            Target::TarballRevision(name, last(file)?, (*revision).to_owned())
        }
        ["-", file @ ..] => Target::Tarball(name, last(file)?),
        [wanted] => Target::Version(name, (*wanted).to_owned()),
        _ => return None,
    })
}

/// The file name alone: lock files of old also have the scope in front of it.
fn last(file: &[&str]) -> Option<String> {
    let name = match file {
        [name] => name,
        [scope, name] if scope.starts_with('@') => name,
        _ => return None,
    };
    name.rsplit('/').next().map(str::to_owned)
}

fn special(rest: &[&str]) -> Option<Target> {
    Some(match rest {
        ["ping"] => Target::Ping,
        ["whoami"] => Target::WhoAmI,
        ["v1", "search"] => Target::Search,
        ["user", "token", _] => Target::Token,
        ["user", user] | ["user", user, "-rev", _] => {
            Target::User(user.strip_prefix("org.couchdb.user:")?.to_owned())
        }
        ["npm", "v1", "user"] => Target::Profile,
        ["npm", "v1", "tokens"] | ["npm", "v1", "tokens", "token", _] => Target::Tokens,
        ["npm", "v1", "keys"] => Target::Keys,
        ["npm", "v1", "security", "advisories", "bulk"] => Target::Advisories,
        ["npm", "v1", "security", "audits"] | ["npm", "v1", "security", "audits", "quick"] => {
            Target::Audit
        }
        ["package", rest @ ..] => {
            let (name, rest) = name(rest)?;
            match rest {
                ["dist-tags"] => Target::Tags(name),
                ["dist-tags", tag] => Target::Tag(name, (*tag).to_owned()),
                _ => return None,
            }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn target(path: &str) -> Target {
        Asked::of(path).unwrap_or_else(|| panic!("{path} names nothing")).target
    }

    fn named(text: &str) -> Name {
        Name::of(text).unwrap()
    }

    #[rstest]
    #[case::npm_and_yarn("/@acme%2fwidget")]
    #[case::pnpm("/@acme%2Fwidget")]
    #[case::all_encoded("/%40acme%2fwidget")]
    #[case::plain("/@acme/widget")]
    #[case::half_encoded("/%40acme/widget")]
    #[case::slash_at_the_end("/@acme/widget/")]
    fn a_scoped_name_is_found_however_it_is_sent(#[case] path: &str) {
        assert_eq!(target(path), Target::Packument(named("@acme/widget")));
        let version = format!("{}/1.0.0", path.trim_end_matches('/'));
        assert_eq!(target(&version), Target::Version(named("@acme/widget"), "1.0.0".to_owned()));
    }

    #[rstest]
    #[case::conventional("/@acme/widget/-/widget-1.0.0.tgz")]
    #[case::yarn_4("/@acme%2fwidget/-/widget-1.0.0.tgz")]
    #[case::scope_twice("/@acme/widget/-/@acme/widget-1.0.0.tgz")]
    #[case::scope_twice_encoded("/@acme%2fwidget/-/@acme%2fwidget-1.0.0.tgz")]
    fn a_tarball_is_found_however_it_is_sent(#[case] path: &str) {
        let file = "widget-1.0.0.tgz".to_owned();
        assert_eq!(target(path), Target::Tarball(named("@acme/widget"), file.clone()));
        assert_eq!(
            target(&format!("{path}/-rev/3-ab")),
            Target::TarballRevision(named("@acme/widget"), file, "3-ab".to_owned())
        );
    }

    #[test]
    fn special_paths_are_known() {
        assert_eq!(target("/-/ping"), Target::Ping);
        assert_eq!(target("//-//v1/search"), Target::Search);
        assert_eq!(target("/-/package/@a%2fb/dist-tags"), Target::Tags(named("@a/b")));
        let tag = "stable/x".to_owned();
        assert_eq!(target("/-/package/@a/b/dist-tags/stable%2Fx"), Target::Tag(named("@a/b"), tag));
        assert_eq!(target("/-/user/org.couchdb.user:me"), Target::User("me".to_owned()));
        assert_eq!(target("/a/-rev/1-x"), Target::Revision(named("a"), "1-x".to_owned()));
    }

    #[rstest]
    #[case("")]
    #[case("/")]
    #[case("/..")]
    #[case("/@a")]
    #[case("/@a%2fb%2fc")]
    #[case("/a%00")]
    #[case("/a/b/c")]
    #[case("/a/-/x/y/z")]
    #[case("/-/nothing")]
    #[case("/-/v1/login")]
    #[case("/-/package/..%2f..%2fetc/dist-tags")]
    fn other_paths_name_nothing(#[case] path: &str) {
        assert_eq!(Asked::of(path), None);
    }
}
