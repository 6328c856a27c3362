//! Bundles that are signed, by this program or by minisign.

use std::process::Command;

use fs_err as fs;
use minisign::KeyPair;

use crate::bench::Bench;

const FILE: &str = "one.hayloft";

/// A store with a bundle of the feed `dev`, and a pair of keys, `secret` and `public`.
fn bundled() -> Bench {
    let bench = Bench::with_feeds();
    bench.upload("dev", "tools", "1.0.0");
    bench.ok(&["bundle", "create", "dev", FILE]);
    keys(&bench, "secret", "public");
    bench
}

fn keys(bench: &Bench, secret: &str, public: &str) {
    let pair = KeyPair::generate_unencrypted_keypair().unwrap();
    fs::write(bench.path(secret), pair.sk.to_box(None).unwrap().to_bytes()).unwrap();
    fs::write(bench.path(public), pair.pk.to_box().unwrap().to_bytes()).unwrap();
}

/// Whether minisign is installed and agrees with these arguments.
fn minisign(bench: &Bench, words: &[&str]) -> Option<bool> {
    let done = Command::new("minisign").args(words).current_dir(bench.path("")).output();
    done.ok().map(|done| done.status.success())
}

#[test]
fn a_signed_bundle_is_applied_and_no_other() {
    let bench = bundled();
    let apply = ["bundle", "apply", "prod", FILE, "--signed-by=public"];
    assert!(bench.fails(&apply).contains("there is none in"), "it is not signed yet");
    assert_eq!(bench.ok(&["bundle", "sign", FILE, "secret"]), "Signed in one.hayloft.minisig.\n");
    let agreed = minisign(&bench, &["-V", "-q", "-m", FILE, "-p", "public"]);
    assert_ne!(agreed, Some(false), "minisign does not agree");

    keys(&bench, "other-secret", "other");
    let other = ["bundle", "apply", "prod", FILE, "--signed-by=other"];
    assert!(bench.fails(&other).contains("different from public key"));
    let whole = fs::read(bench.path(FILE)).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(bench.path(FILE), changed).unwrap();
    for verb in [&apply[..], &["bundle", "inspect", FILE, "--signed-by=public"]] {
        assert!(bench.fails(verb).contains("the signature is not good"));
    }
    assert_eq!(bench.json(&["packages", "list", "prod"]).as_array().unwrap().len(), 0);

    fs::write(bench.path(FILE), whole).unwrap();
    let line = fs::read_to_string(bench.path("public")).unwrap();
    let line = format!("--signed-by={}", line.lines().nth(1).unwrap());
    bench.ok(&["bundle", "inspect", FILE, &line]);
    assert_eq!(bench.json(&apply)["stored"], 1);
}

#[test]
fn what_minisign_signs_is_accepted_unless_it_is_of_the_old_kind() {
    let bench = bundled();
    let generated = minisign(&bench, &["-G", "-W", "-f", "-p", "theirs", "-s", "their-secret"]);
    let Some(true) = generated else {
        assert_eq!(generated, None, "minisign makes no keys");
        println!("skipped: minisign is not installed");
        return;
    };
    let inspect = ["bundle", "inspect", FILE, "--signed-by=theirs"];
    let sign = ["-S", "-s", "their-secret", "-m", FILE];
    assert_eq!(minisign(&bench, &sign), Some(true));
    bench.ok(&inspect);
    assert_eq!(minisign(&bench, &[&sign[..], &["-l"]].concat()), Some(true));
    assert!(bench.fails(&inspect).contains("old kind"));
    // Their keys sign here, too.
    bench.ok(&["bundle", "sign", FILE, "their-secret"]);
    bench.ok(&inspect);
}

#[test]
fn what_is_no_key_and_no_signature_is_refused() {
    let bench = bundled();
    for text in ["", "x", "untrusted comment: x\nRWQ\n", "\u{0}\u{0}\n\u{0}"] {
        fs::write(bench.path("odd"), text).unwrap();
        let said = bench.fails(&["bundle", "sign", FILE, "odd"]);
        assert!(said.contains("secret key of minisign cannot be used"), "{said}");
        let said = bench.misused(&["bundle", "inspect", FILE, "--signed-by=odd"]);
        assert!(said.contains("no public key of minisign"), "{said}");
        fs::write(bench.path("one.hayloft.minisig"), text).unwrap();
        let said = bench.fails(&["bundle", "inspect", FILE, "--signed-by=public"]);
        assert!(said.contains("the signature is not good"), "{said}");
    }
    fs::write(bench.path("one.hayloft.minisig"), vec![b'x'; 1 << 20]).unwrap();
    bench.fails(&["bundle", "inspect", FILE, "--signed-by=public"]);
}
