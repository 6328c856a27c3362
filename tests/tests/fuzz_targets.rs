//! Every fuzz target for a second, without a fuzzer: on sound input of its kind, on that with damage,
//! and on noise. The same input at every run; `cargo xtask fuzz` looks for new ones.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::print_stderr,
    clippy::unreachable,
    clippy::disallowed_methods,
    dead_code,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    unused_attributes,
    unused_imports,
    reason = "tests panic to fail; the targets are programs of their own"
)]

// The targets ask that crate for their macro.
extern crate self as libfuzzer_sys;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use hayloft_testkit::{deb, gem, npm_tgz, nupkg, sdist, upack, wheel};

/// How long one target runs, and how many inputs it gets at most.
const TIME: Duration = Duration::from_secs(1);
const INPUTS: usize = 20_000;
/// How many it gets at least, however slow the machine is.
const FIRST: usize = 64;

/// What a target takes, out of bytes.
trait Taken<'b> {
    fn taken(bytes: &'b [u8]) -> Self;
}

impl<'b> Taken<'b> for &'b [u8] {
    fn taken(bytes: &'b [u8]) -> Self {
        bytes
    }
}

impl<'b> Taken<'b> for &'b str {
    fn taken(bytes: &'b [u8]) -> Self {
        let sound =
            std::str::from_utf8(bytes).err().map_or(bytes.len(), |error| error.valid_up_to());
        std::str::from_utf8(&bytes[..sound]).unwrap()
    }
}

impl<'b> Taken<'b> for (u8, &'b [u8]) {
    fn taken(bytes: &'b [u8]) -> Self {
        bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest))
    }
}

/// Stands for the macro of `libfuzzer-sys`.
#[macro_export]
macro_rules! fuzz_target {
    (|$input:ident: $kind:ty| $body:block) => {
        pub(crate) fn run(bytes: &[u8]) {
            fn target($input: $kind) $body
            target(crate::Taken::taken(bytes));
        }
    };
}

macro_rules! targets {
    ($($name:ident: $path:tt,)*) => {
        $(
            #[path = $path]
            mod $name;
        )*

        const TARGETS: &[&str] = &[$(stringify!($name)),*];

        mod holds {
            $(
                #[test]
                fn $name() {
                    crate::hold(stringify!($name), crate::$name::run);
                }
            )*
        }
    };
}

targets! {
    ar_read: "../../fuzz/fuzz_targets/ar_read.rs",
    archive_links: "../../fuzz/fuzz_targets/archive_links.rs",
    core_limits: "../../fuzz/fuzz_targets/core_limits.rs",
    core_log: "../../fuzz/fuzz_targets/core_log.rs",
    core_records: "../../fuzz/fuzz_targets/core_records.rs",
    debian_control: "../../fuzz/fuzz_targets/debian_control.rs",
    debian_data: "../../fuzz/fuzz_targets/debian_data.rs",
    debian_identify: "../../fuzz/fuzz_targets/debian_identify.rs",
    debian_inspect: "../../fuzz/fuzz_targets/debian_inspect.rs",
    debian_native: "../../fuzz/fuzz_targets/debian_native.rs",
    debian_repackage: "../../fuzz/fuzz_targets/debian_repackage.rs",
    http_json_intake: "../../fuzz/fuzz_targets/http_json_intake.rs",
    http_key: "../../fuzz/fuzz_targets/http_key.rs",
    http_multipart_intake: "../../fuzz/fuzz_targets/http_multipart_intake.rs",
    http_text_body: "../../fuzz/fuzz_targets/http_text_body.rs",
    npm_identify: "../../fuzz/fuzz_targets/npm_identify.rs",
    npm_inspect: "../../fuzz/fuzz_targets/npm_inspect.rs",
    npm_native: "../../fuzz/fuzz_targets/npm_native.rs",
    npm_repackage: "../../fuzz/fuzz_targets/npm_repackage.rs",
    nuget_identify: "../../fuzz/fuzz_targets/nuget_identify.rs",
    nuget_inspect: "../../fuzz/fuzz_targets/nuget_inspect.rs",
    nuget_native: "../../fuzz/fuzz_targets/nuget_native.rs",
    nuget_nuspec: "../../fuzz/fuzz_targets/nuget_nuspec.rs",
    nuget_range: "../../fuzz/fuzz_targets/nuget_range.rs",
    nuget_repackage: "../../fuzz/fuzz_targets/nuget_repackage.rs",
    nuget_signature: "../../fuzz/fuzz_targets/nuget_signature.rs",
    pypi_identify: "../../fuzz/fuzz_targets/pypi_identify.rs",
    pypi_inspect: "../../fuzz/fuzz_targets/pypi_inspect.rs",
    pypi_native: "../../fuzz/fuzz_targets/pypi_native.rs",
    pypi_repackage: "../../fuzz/fuzz_targets/pypi_repackage.rs",
    relative_path: "../../fuzz/fuzz_targets/relative_path.rs",
    rubygems_identify: "../../fuzz/fuzz_targets/rubygems_identify.rs",
    rubygems_inspect: "../../fuzz/fuzz_targets/rubygems_inspect.rs",
    rubygems_native: "../../fuzz/fuzz_targets/rubygems_native.rs",
    rubygems_repackage: "../../fuzz/fuzz_targets/rubygems_repackage.rs",
    tar_rewrite: "../../fuzz/fuzz_targets/tar_rewrite.rs",
    universal_dependency: "../../fuzz/fuzz_targets/universal_dependency.rs",
    universal_identify: "../../fuzz/fuzz_targets/universal_identify.rs",
    universal_inspect: "../../fuzz/fuzz_targets/universal_inspect.rs",
    universal_manifest: "../../fuzz/fuzz_targets/universal_manifest.rs",
    universal_native: "../../fuzz/fuzz_targets/universal_native.rs",
    universal_repackage: "../../fuzz/fuzz_targets/universal_repackage.rs",
    zip_open: "../../fuzz/fuzz_targets/zip_open.rs",
    zip_rewrite: "../../fuzz/fuzz_targets/zip_rewrite.rs",
}

#[test]
fn every_target_is_here_and_known_to_cargo_fuzz() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let files = fs_err::read_dir(fuzz.join("fuzz_targets")).unwrap();
    let files: BTreeSet<String> = files
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .collect();
    let here: BTreeSet<String> = TARGETS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(files, here, "list each target in this file");
    let manifest: toml::Table =
        fs_err::read_to_string(fuzz.join("Cargo.toml")).unwrap().parse().unwrap();
    let known = manifest["bin"].as_array().unwrap().iter();
    let known: BTreeSet<String> =
        known.map(|bin| bin["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(files, known, "list each target in fuzz/Cargo.toml");
}

#[test]
fn a_target_that_panics_over_damage_fails() {
    let holds = |bytes: &[u8]| assert!(std::str::from_utf8(bytes).is_ok());
    std::panic::catch_unwind(|| hold("none", holds)).unwrap_err();
}

/// Tells the input if the target panics over it.
struct Told<'b>(&'b str, &'b [u8]);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} on: {}", self.0, self.1.escape_ascii());
        }
    }
}

fn hold(name: &str, run: fn(&[u8])) {
    let seeds = seeds(name);
    let mut noise = Noise(name.bytes().fold(1, |sum, byte| sum * 31 % 1_000_003 + u64::from(byte)));
    let begun = Instant::now();
    for number in 0..INPUTS {
        let input = match seeds.get(number) {
            Some(seed) => seed.clone(),
            None if number > FIRST && begun.elapsed() > TIME => return,
            None => noise.input(&seeds),
        };
        let _told = Told(name, &input);
        run(&input);
    }
}

/// Sound input of a target's kind.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let packages: Vec<Vec<u8>> = match name.split('_').next().unwrap() {
        "npm" | "tar" => vec![npm_tgz("@hay/bale", "1.0.0-rc.1").build()],
        "nuget" | "zip" => vec![nupkg("Hay.Bale", "1.0.0-rc.1").build()],
        "pypi" => vec![wheel("hay.bale", "1.0rc1").build(), sdist("hay.bale", "1.0rc1").build()],
        "debian" | "ar" => vec![deb("hay", "1:1.0~rc1-1", "amd64").build()],
        "rubygems" => vec![gem("hay", "1.0.0.rc1", "ruby").build()],
        "universal" => vec![upack("hay", "bale", "1.0.0-rc.1").build()],
        _ => Vec::new(),
    };
    let texts = [
        "",
        "GET /hay?q=bale&take=5\nname bale\nversion 1.0.0",
        "GET\nsimple/hay-bale/\n\ntext/html, */*;q=0.1\nBasic YXBpOms=\n:action=file_upload",
        "dists/stable/main/binary-amd64/Packages.gz",
        "v3/registration/hay.bale/page/1.0.0/2.0.0.json",
        "@hay/bale\n1.0.0-rc.1+build.5",
        "[1.0.0, 2.0.0)\n(,3.0-beta]",
        "{\"name\":\"hay\",\"version\":\"1.0.0\",\"group\":\"a/b\",\"dependencies\":{\"b\":\"^1\"}}",
        "Package: hay\nVersion: 1:1.0~rc1-1\nArchitecture: amd64\nDepends: straw (>= 1.0), b | c\n",
        "--- !ruby/object:Gem::Specification\nname: hay\nversion: !ruby/object:Gem::Version\n  \
         version: 1.0.0\n",
        "multipart/form-data; boundary=b\n--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\
         1\r\n--b--\r\n",
        "<package><metadata><id>Hay</id><version>1.0</version></metadata></package>",
    ];
    let texts = texts.iter().map(|text| text.as_bytes().to_vec());
    packages.into_iter().chain(texts).collect()
}

/// The same numbers at every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() >> 8).unwrap() % most.max(1)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[3]
    }

    /// One time in eight noise, else a seed with up to four changes, often behind one more byte, by
    /// which some targets choose.
    fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        if self.below(8) == 0 {
            return (0..self.below(64)).map(|_| self.byte()).collect();
        }
        let mut input = seeds[self.below(seeds.len())].clone();
        if self.below(2) == 0 {
            input.insert(0, self.byte());
        }
        for _ in 0..self.below(5) {
            let at = self.below(input.len() + 1);
            let end = (at + self.below(16)).min(input.len());
            match self.below(5) {
                0 if at < input.len() => input[at] ^= 1 << self.below(8),
                1 => drop(input.drain(at..end)),
                2 => input.insert(at, self.byte()),
                3 => {
                    let copied = input[at..end].to_vec();
                    let to = self.below(input.len() + 1);
                    input.splice(to..to, copied);
                }
                4 => input.truncate(at.max(1)),
                _ => input.extend_from_slice(&[0xff; 4]),
            }
        }
        input
    }
}
