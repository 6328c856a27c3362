use hayloft_archive::zlib;
use hayloft_feed::Fragment;

use crate::gemspec::{Dependency, DependencyKind, Gemspec};
use crate::marshal::Marshal;

/// The gem's line of the compact index, without the time of its arrival.
pub(crate) const INFO: u8 = 1;
/// The abbreviated specification, as `quick/Marshal.4.8` serves it.
pub(crate) const QUICK: u8 = 2;

/// What Ruby objects of gems without one say of the release that built them.
const UNKNOWN_RELEASE: &str = "0";

/// What indexes need of a gem, out of the gem alone.
pub(crate) fn of_gem(gemspec: &Gemspec, sha256: &str) -> Vec<Fragment> {
    let specification = specification(gemspec);
    vec![
        Fragment { kind: INFO, bytes: gemspec.compact_index_line(sha256).into_bytes() },
        Fragment { kind: QUICK, bytes: zlib(&specification) },
    ]
}

/// A `Gem::Specification` as it writes itself: an array in a stream of its own.
fn specification(gemspec: &Gemspec) -> Vec<u8> {
    let mut inner = Marshal::new();
    inner.array(19);
    inner.text(gemspec.rubygems_version.as_deref().unwrap_or(UNKNOWN_RELEASE));
    inner.integer(4);
    inner.text(&gemspec.name);
    inner.version(&gemspec.version);
    // A text is read as a date, too.
    inner.text(gemspec.date.as_deref().and_then(|date| date.get(..10)).unwrap_or("1980-01-02"));
    inner.text(gemspec.summary.as_deref().unwrap_or_default());
    inner.requirement(&gemspec.required_ruby_version);
    inner.requirement(&gemspec.required_rubygems_version);
    inner.text(gemspec.original_platform.as_deref().unwrap_or(&gemspec.platform));
    inner.array(gemspec.dependencies.len());
    for dependency in &gemspec.dependencies {
        write_dependency(&mut inner, dependency);
    }
    inner.text("");
    match gemspec.email.as_slice() {
        [] => inner.nil(),
        [one] => inner.text(one),
        several => inner.texts(several),
    }
    inner.texts(&gemspec.authors);
    inner.text_or_nil(gemspec.description.as_deref());
    inner.text_or_nil(gemspec.homepage.as_deref());
    inner.boolean(true);
    inner.text(&gemspec.platform);
    inner.texts(&gemspec.licenses);
    inner.hash(gemspec.metadata.len());
    for (key, value) in &gemspec.metadata {
        inner.text(key);
        inner.text(value);
    }
    let mut outer = Marshal::new();
    outer.dumped("Gem::Specification", &inner.finish());
    outer.finish()
}

fn write_dependency(out: &mut Marshal, dependency: &Dependency) {
    out.object("Gem::Dependency", 5);
    out.symbol("@name");
    out.text(&dependency.name);
    out.symbol("@requirement");
    out.requirement(&dependency.requirements);
    out.symbol("@type");
    out.symbol(match dependency.kind {
        DependencyKind::Runtime => "runtime",
        DependencyKind::Development => "development",
    });
    out.symbol("@prerelease");
    out.boolean(false);
    out.symbol("@version_requirements");
    out.requirement(&dependency.requirements);
}
