use fs_err as fs;
use serde_json::Value;

use crate::bench::{Bench, names};

const ONE: [&str; 3] = ["--feed=dev", "--package=initrode/tools", "--version=1.0.0-rc.1"];

fn about(verb: &[&'static str]) -> Vec<&'static str> {
    [&["packages"], verb, &ONE].concat()
}

#[test]
fn uploads_are_listed_and_downloaded_byte_for_byte() {
    let bench = Bench::with_feeds();
    let bytes = bench.upload("dev", "initrode/tools", "1.0.0-rc.1");
    bench.upload("dev", "initrode/tools", "0.9.0");
    bench.upload("dev", "other", "2.0.0-a");
    let list = |words: &[&str]| bench.ok(&[&["packages", "--feed=dev"], words].concat());
    assert_eq!(list(&["list"]), "other 2.0.0-a\ninitrode/tools 1.0.0-rc.1\n");
    assert_eq!(list(&["list", "--stable"]), "initrode/tools 0.9.0\n");
    assert_eq!(list(&["list", "--package=initrode/tools"]), "initrode/tools 1.0.0-rc.1\n");
    assert_eq!(
        list(&["versions", "--package", "INITRODE/Tools"]),
        "tools 1.0.0-rc.1\ntools 0.9.0\n"
    );
    assert_eq!(list(&["versions", "--package=tools"]), "", "the group is part of the name");
    fs::remove_file(bench.path("tools-1.0.0-rc.1.upack")).unwrap();
    let said = bench.ok(&about(&["download"]));
    assert_eq!(
        said,
        format!(
            "Downloading initrode/tools 1.0.0-rc.1 from dev feed...\n\
             Saving package to tools-1.0.0-rc.1.upack...\nDownload complete ({} bytes)\n",
            bytes.len()
        )
    );
    assert_eq!(fs::read(bench.path("tools-1.0.0-rc.1.upack")).unwrap(), bytes);
}

#[test]
fn downloads_go_where_they_are_asked_to() {
    let bench = Bench::with_feeds();
    let bytes = bench.upload("dev", "initrode/tools", "1.0.0-rc.1");
    assert_eq!(bench.run(&about(&["download", "--stdout"])).bytes, bytes);
    bench.ok(&about(&["download", "--output-file=a.bin"]));
    assert_eq!(fs::read(bench.path("a.bin")).unwrap(), bytes);
    fs::create_dir(bench.path("d")).unwrap();
    bench.ok(&about(&["download", "--output-file=d"]));
    assert_eq!(names(&bench.path("d")), ["tools-1.0.0-rc.1.upack"]);
    let unstable = ["--feed=dev", "--package=initrode/tools", "--version=latest-unstable"];
    let download = ["packages", "download", "--stdout"];
    assert_eq!(bench.run(&[&download[..], &unstable].concat()).bytes, bytes);
}

#[test]
fn a_download_that_fails_leaves_no_file() {
    let bench = Bench::with_feeds();
    let words = ["packages", "download", "--feed=dev", "--package=a", "--version=1.0.0"];
    let said = bench.fails(&[&words[..], &["--output-file=x/y"]].concat());
    assert!(said.contains("1.0.0"), "{said}");
    assert_eq!(names(&bench.path("")), ["hayloft-data", "home"]);
    bench.upload("dev", "a", "1.0.0");
    let said = bench.fails(&[&words[..], &["--output-file=no/such/file"]].concat());
    assert!(said.starts_with("cannot save `no/such/file`: "), "{said}");
}

#[test]
fn uploads_come_from_patterns_and_standard_input() {
    let bench = Bench::with_feeds();
    for version in ["1.0.0", "1.1.0"] {
        let package = hayloft_testkit::upack("", "a", version);
        fs::write(bench.path(&package.file_name()), package.build()).unwrap();
    }
    let said = bench.ok(&["packages", "upload", "--feed=dev", "--input-file=a-*.upack"]);
    assert_eq!(
        said,
        "Uploading a-1.0.0.upack to dev feed...\nUpload complete.\n\
         Uploading a-1.1.0.upack to dev feed...\nUpload complete.\n"
    );
    let package = hayloft_testkit::upack("", "a", "1.2.0").payload(300_000).build();
    let run = bench.run_with(&["packages", "upload", "--feed=dev", "--stdin", "--json"], &package);
    assert_eq!(run.status, 0, "{run:?}");
    let sent: Value = serde_json::from_str(&run.text()).unwrap();
    assert_eq!(sent[0]["size"], package.len());
    let versions = bench.ok(&["packages", "versions", "--feed=dev"]);
    assert_eq!(versions, "a 1.2.0\na 1.1.0\na 1.0.0\n");
}

#[test]
fn what_is_no_package_is_refused_and_not_stored() {
    let bench = Bench::with_feeds();
    fs::write(bench.path("a.upack"), "no zip").unwrap();
    let said = bench.fails(&["packages", "upload", "--feed=dev", "--input-file=a.upack"]);
    assert!(said.contains("neither a ZIP archive"), "{said}");
    assert_eq!(bench.ok(&["packages", "list", "--feed=dev"]), "");
    let said = bench.fails(&["packages", "upload", "--feed=dev", "--input-file=none.upack"]);
    assert!(said.contains("none.upack"), "{said}");
}

#[test]
fn packages_are_deleted() {
    let bench = Bench::with_feeds();
    bench.upload("dev", "initrode/tools", "1.0.0-rc.1");
    let said = bench.ok(&about(&["delete"]));
    assert_eq!(said, "Deleting initrode/tools 1.0.0-rc.1 from dev feed...\nPackage deleted.\n");
    assert_eq!(bench.ok(&["packages", "list", "--feed=dev"]), "");
    assert!(bench.fails(&about(&["delete"])).contains("1.0.0-rc.1"));
    let said = bench.misused(&about(&["delete", "--arch=amd64"]));
    assert_eq!(said, "Qualifiers must not be used for upack packages.");
}

#[test]
fn states_are_set_and_taken_back() {
    let bench = Bench::with_feeds();
    bench.upload("dev", "initrode/tools", "1.0.0-rc.1");
    let state = || bench.json(&about(&["versions"]))[0].clone();
    let said = bench.ok(&about(&["status", "unlisted"]));
    assert_eq!(
        said,
        "Setting initrode/tools 1.0.0-rc.1 in dev feed to unlisted...\nPackage status changed.\n"
    );
    assert_eq!(state()["listed"], false);
    bench.ok(&about(&["status", "unlisted", "--state=Listed"]));
    assert_eq!(state()["listed"], true);

    bench.ok(&about(&["status", "blocked"]));
    assert_eq!(state()["allowDownload"], false);
    bench.fails(&about(&["download"]));
    bench.ok(&about(&["status", "blocked", "--state=notset"]));
    assert_eq!(state()["allowDownload"], Value::Null);
    bench.ok(&about(&["status", "blocked", "--state=allowed"]));
    assert_eq!(state()["allowDownload"], true);

    let said = bench.ok(&about(&["status", "deprecated", "--reason=use gears"]));
    assert!(said.contains("to deprecated: use gears..."), "{said}");
    assert_eq!(state()["deprecationReason"], "use gears");
    let metadata = bench.ok(&about(&["metadata"]));
    assert!(metadata.contains(" Status: Local [Deprecated]\n"), "{metadata}");
    bench.ok(&about(&["status", "deprecated", "--state=clear"]));
    assert_eq!(state()["deprecated"], false);
}

#[test]
fn a_release_is_repackaged_promoted_and_remembered() {
    let bench = Bench::with_feeds();
    bench.upload("dev", "initrode/tools", "1.0.0-rc.1");
    let said = bench.ok(&about(&["repackage", "--new-version=1.0.0", "--comment=passed"]));
    assert_eq!(
        said,
        "Repackaging initrode/tools 1.0.0-rc.1\n  from dev\n  to dev: 1.0.0\n\
         Repackage successful.\n"
    );
    let stable = ["--feed=dev", "--package=initrode/tools", "--version=1.0.0"];
    let promote = ["packages", "promote", "--to-feed=prod", "--comment=go"];
    let said = bench.ok(&[&promote[..], &stable].concat());
    assert_eq!(
        said,
        "Promoting initrode/tools 1.0.0\n  from dev\n  to prod\nPromote successful.\n"
    );
    let hash = |feed: &str| {
        let words = ["packages", "versions", "--feed", feed, "--package=initrode/tools"];
        bench.json(&[&words[..], &["--version=1.0.0"]].concat())[0]["sha256"].clone()
    };
    assert_eq!(hash("dev"), hash("prod"));

    let history = bench.ok(&[&["packages", "history"], &stable[..]].concat());
    for part in [
        "initrode/tools 1.0.0\n Inside of tools-1.0.0.upack:\n  from initrode/tools:1.0.0-rc.1:",
        " by tester using hayloft/",
        ": passed\n",
        "  1.0.0-rc.1 in dev -> 1.0.0 in dev on ",
        "  dev -> prod on ",
        " by tester: go\n",
    ] {
        assert!(history.contains(part), "{part}: {history}");
    }
    let history = bench.json(&[&["packages", "history"], &stable[..]].concat());
    assert_eq!(history["embedded"]["tools-1.0.0.upack"][0]["reason"], "passed");
    assert_eq!(history["promotions"][0]["toFeed"], "prod");

    let promotions = bench.ok(&["promotions", "list", "--to-feed=prod"]);
    assert!(promotions.starts_with("initrode/tools 1.0.0\n  dev -> prod on "), "{promotions}");
    assert_eq!(bench.ok(&["promotions", "list", "--to-feed=dev"]), "");
    let promotions = bench.json(&["promotions", "list", "--package=initrode/tools"]);
    assert_eq!(promotions[0]["packageName"], "tools");
    assert_eq!(promotions[0]["promotions"][0]["comments"], "go");
}

#[test]
fn a_release_is_refused_with_a_reason() {
    let bench = Bench::with_feeds();
    bench.ok(&["feeds", "create", "--name=nu", "--type=NuGet"]);
    bench.upload("dev", "initrode/tools", "1.0.0-rc.1");
    bench.upload("dev", "initrode/tools", "1.0.0");
    let repackage = |words: &[&'static str]| bench.fails(&about(&[&["repackage"], words].concat()));
    let said = repackage(&["--new-version=1.0.0"]);
    assert!(said.contains("tools") && said.contains("1.0.0") && said.contains("exists"), "{said}");
    assert!(repackage(&["--new-version=one"]).contains("`one`"));
    assert_eq!(repackage(&["--new-version=2.0.0", "--to-feed=x"]), "Feed x not found.");
    let said = bench.fails(&about(&["promote", "--to-feed=nu"]));
    assert!(said.contains("dev") && said.contains("nu"), "{said}");
    bench.fails(&about(&["promote", "--to-feed=dev"]));
    assert_eq!(bench.ok(&["promotions", "list"]), "");
}

#[test]
fn lists_and_metadata_are_the_objects_of_the_api() {
    let bench = Bench::with_feeds();
    assert_eq!(bench.ok(&["packages", "list", "--feed=dev", "--json"]), "[]\n");
    bench.upload("dev", "initrode/tools", "1.0.0-rc.1");
    let listed = bench.json(&["packages", "list", "--feed=dev"]);
    for key in [
        "purl",
        "group",
        "name",
        "version",
        "qualifier",
        "totalDownloads",
        "downloads",
        "published",
        "publishedBy",
        "size",
        "listed",
        "md5",
        "sha1",
        "sha256",
        "sha512",
        "allowDownload",
        "deprecated",
        "deprecationReason",
    ] {
        assert!(listed[0].get(key).is_some(), "{key}");
    }
    assert_eq!(listed[0]["purl"], "pkg:upack/initrode/tools@1.0.0-rc.1");
    assert_eq!(listed[0]["publishedBy"], "tester");
    let metadata = bench.json(&about(&["metadata"]));
    assert_eq!(metadata["state"], "Local");
    let text = bench.ok(&about(&["metadata"]));
    assert!(text.starts_with("tools 1.0.0-rc.1\n Published: "), "{text}");
    assert!(text.contains(" by tester\n Size: "), "{text}");
    let audit = bench.ok(&about(&["audit"]));
    assert!(audit.starts_with("Checking initrode/tools 1.0.0-rc.1...\n"), "{audit}");
}

#[test]
fn files_of_a_version_are_told_apart_by_qualifiers() {
    let bench = Bench::new();
    bench.ok(&["feeds", "create", "--name=deb", "--type=Debian"]);
    for architecture in ["amd64", "arm64"] {
        let package = hayloft_testkit::deb("hello", "1:2.0-1", architecture);
        fs::write(bench.path(&package.file_name()), package.build()).unwrap();
    }
    let pattern = "--input-file=*.deb";
    bench.ok(&["packages", "upload", "--feed=deb", pattern, "--distribution=stable"]);
    assert_eq!(
        bench.ok(&["packages", "list", "--feed=deb"]),
        "hello (arch=amd64&component=main&distro=stable) 1:2.0-1\n\
         hello (arch=arm64&component=main&distro=stable) 1:2.0-1\n"
    );
    let one = ["packages", "delete", "--feed=deb", "--package=hello", "--version=1:2.0-1"];
    let said = bench.misused(&one);
    assert_eq!(
        said,
        "--arch error: argument is required for deb packages\n\
         --distro error: argument is required for deb packages\n\
         --component error: argument is required for deb packages"
    );
    let parts = ["--arch=amd64", "--distro=stable", "--component=main"];
    bench.ok(&[&one[..], &parts].concat());
    let raw = "--qualifier=arch=arm64&component=main&distro=stable";
    bench.ok(&[&one[..], &[raw]].concat());
    assert_eq!(bench.ok(&["packages", "list", "--feed=deb"]), "");
}

#[cfg(unix)]
#[test]
fn an_interrupt_cancels_a_download_and_leaves_no_file() {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::process::{Command, Stdio};

    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let source = format!("--source=http://{}", listener.local_addr().unwrap());
    let words = ["packages", "download", "--feed=dev", "--package=a", "--version=1.0.0"];
    let child = bench
        .command(&[&words[..], &[source.as_str()]].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let info = r#"{"id":1,"name":"dev","feedType":"universal","packageType":"upack"}"#;
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    let (mut client, _) = listener.accept().unwrap();
    let mut request = [0; 4096];
    assert!(client.read(&mut request).unwrap() > 0);
    write!(client, "{head}Content-Length: {}\r\n\r\n{info}", info.len()).unwrap();
    drop(client);
    let (mut client, _) = listener.accept().unwrap();
    assert!(client.read(&mut request).unwrap() > 0);
    let disposition = "Content-Disposition: attachment; filename=\"a.upack\"\r\n";
    write!(client, "{head}{disposition}Content-Length: 1000000\r\n\r\nhalf").unwrap();
    let is_draft = |name: &String| name.starts_with(".hayloft-");
    let size = || {
        let draft = names(&bench.path("")).into_iter().find(is_draft)?;
        Some(fs::metadata(bench.path(&draft)).unwrap().len())
    };
    while size() != Some(4) {
        std::thread::yield_now();
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "Operation canceled.\n");
    assert_eq!(names(&bench.path("")), ["home"]);
}

#[test]
fn an_upload_makes_its_feed_where_there_is_none() {
    let bench = Bench::with_feeds();
    bench.upload("dev", "tools", "1.0.0");
    let upload = |feed: &str, kind: &str| {
        let create = format!("--create={kind}");
        bench.run(&["packages", "upload", feed, "tools-1.0.0.upack", &create])
    };
    let made = upload("fresh", "universal");
    assert!(made.status == 0 && made.text().contains("Creating universal feed: fresh"), "{made:?}");
    let again = upload("fresh", "npm");
    assert!(again.status == 0 && !again.text().contains("Creating"), "{again:?}");
    assert_eq!(bench.ok(&["packages", "list", "fresh"]), "tools 1.0.0\n");
    let wrong = upload("other", "cobol");
    assert_eq!(wrong.status, 1, "{wrong:?}");
    assert!(!bench.ok(&["feeds", "list"]).contains("other"), "nothing is made of a mistake");
}
