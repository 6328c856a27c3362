use fs_err as fs;

use crate::bench::Bench;

#[test]
fn sources_are_kept_in_the_file_of_pgutil() {
    let bench = Bench::new();
    assert_eq!(bench.ok(&["sources", "list"]), "No sources configured.\n");
    let words = ["sources", "add", "--url=http://127.0.0.1:1/x/", "--feed=dev"];
    let run = bench.run(&[&words[..], &["--api-key=s3cret"]].concat());
    assert_eq!((run.status, run.text().as_str()), (0, ""));
    assert!(run.errors.contains("Credentials are stored"), "{run:?}");
    let file = fs::read_to_string(bench.path("home/config/pgutil/pgutil.config")).unwrap();
    assert!(file.contains("\"encryptedToken\"") && !file.contains("s3cret"), "{file}");
    bench.ok(&["sources", "add", "--name=Two", "--url=https://h", "--username=u"]);
    assert_eq!(
        bench.ok(&["sources", "list"]),
        "1. Default (dev feed)\n   http://api@127.0.0.1:1/x/\n2. Two\n   https://u@h\n"
    );
    bench.ok(&[
        "sources",
        "add",
        "--name=TWO",
        "--url=http://other",
        "--password=p",
        "--plain-text",
    ]);
    let file = fs::read_to_string(bench.path("home/config/pgutil/pgutil.config")).unwrap();
    assert!(file.contains("\"password\": \"p\"") && !file.contains("https://h"), "{file}");
    assert_eq!(bench.ok(&["sources", "remove", "--name=two"]), "Removed two source.\n");
    assert_eq!(bench.ok(&["sources", "remove", "--name=two"]), "Source two not found.\n");
    let said = bench.fails(&["sources", "test"]);
    assert!(said.starts_with("[Default] Error contacting ProGet: "), "{said}");
}

#[test]
fn a_socket_is_found_from_anywhere() {
    let bench = Bench::new();
    bench.ok(&["sources", "add", "unix:socket", "here"]);
    let said = bench.ok(&["sources", "list"]);
    assert!(said.contains(" unix:/") && said.ends_with("/socket\n"), "{said}");
}

#[test]
fn wrong_sources_are_refused() {
    let bench = Bench::new();
    let said = bench.misused(&["sources", "add", "--url=ftp://h"]);
    assert_eq!(
        said,
        "--url error: this is no URL that begins http:// or https://, and no unix:PATH"
    );
    let said = bench.misused(&["sources", "add", "--url=http://h", "--name= x"]);
    assert_eq!(said, "--name error: blanks at the ends are not allowed");
    let said = bench.misused(&["feeds", "list", "--source=none"]);
    assert_eq!(said, "--source error: Source none not found.");
    let said = bench.misused(&["feeds", "list", "--source=http://h", "--store=x"]);
    assert_eq!(said, "--store error: give either --source or --store, not both");
}

#[test]
fn the_default_source_is_used_unless_a_store_is_named() {
    let bench = Bench::new();
    bench.ok(&["sources", "add", "--url=http://127.0.0.1:1/"]);
    let said = bench.fails(&["feeds", "list"]);
    assert!(said.contains("the server cannot be asked"), "{said}");
    bench.ok(&["feeds", "create", "dev", "npm", "--store=here"]);
    assert_eq!(bench.ok(&["feeds", "list", "--store=here"]), "dev (npm)\n");
}
