//! Completions in real shells, and manual pages through the real formatter.

use std::process::{Command, Stdio};

use fs_err as fs;

use crate::bench::{Bench, names};

fn has(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        eprintln!("skipped: `{program}` does not run on this machine");
    }
    found
}

/// Runs a script in a shell in whose path the program is.
fn run(bench: &Bench, shell: &str, script: &str) -> String {
    let program = bench.command(&[]);
    let program = std::path::Path::new(program.get_program());
    let path =
        format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output = Command::new(shell)
        .args(["-c", script])
        .env("PATH", path)
        .env("HOME", bench.path("home"))
        .current_dir(bench.path(""))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn bash_finishes_words() {
    if !has("bash") {
        return;
    }
    let bench = Bench::new();
    fs::write(bench.path("words.bash"), bench.ok(&["completions", "bash"])).unwrap();
    // As bash cuts the line: the sign between an option and its value is a word.
    let finish = |words: &str| {
        let script = format!(
            "source words.bash; COMP_WORDS=(hayloft {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); \
             _hayloft; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        run(&bench, "bash", &script).trim().replace('\n', " ")
    };
    assert_eq!(finish("pack"), "packages");
    assert_eq!(finish("packages upload --inp"), "--input-file");
    assert_eq!(finish("packages status blocked --state = al"), "allowed");
    assert_eq!(finish("completions ''"), "bash zsh fish powershell");
    assert_eq!(finish("packages upload dev ''"), "", "files are the shell's own");
}

#[test]
fn zsh_and_fish_take_their_scripts() {
    let bench = Bench::new();
    if has("zsh") {
        fs::write(bench.path("_hayloft"), bench.ok(&["completions", "zsh"])).unwrap();
        let said = run(
            &bench,
            "zsh",
            "autoload -U compinit; compinit -u -D; source ./_hayloft; print $_comps[hayloft]",
        );
        assert_eq!(said, "_hayloft\n");
    }
    if has("fish") {
        fs::write(bench.path("words.fish"), bench.ok(&["completions", "fish"])).unwrap();
        let said = run(&bench, "fish", "source words.fish; complete -C 'hayloft packages prom'");
        assert_eq!(said, "promote\tBrings a package into another feed, byte for byte\n");
        let said = run(&bench, "fish", "source words.fish; complete -C 'hayloft completions '");
        assert!(said.starts_with("bash\t") && said.contains("\nzsh\t"), "{said}");
    }
}

#[test]
fn powershell_gives_the_last_word_behind_a_sign() {
    let bench = Bench::new();
    assert!(bench.ok(&["completions", "powershell"]).contains("Register-ArgumentCompleter"));
    let words = ["complete", "--shell=powershell", "--", "packages", "=prom"];
    assert!(bench.ok(&words).starts_with("promote\t"));
    let words = ["complete", "--shell=powershell", "--", "sources", "="];
    assert_eq!(bench.ok(&words).lines().count(), 4);
}

#[test]
fn manual_pages_are_ones_that_the_formatter_takes() {
    let bench = Bench::new();
    bench.ok(&["manual", "man1", "--quiet"]);
    let pages = names(&bench.path("man1"));
    assert!(pages.len() > 40 && pages.contains(&"hayloft-packages-upload.1".to_owned()));
    assert!(!bench.ok(&["--help"]).contains("complete "));
    if !has("groff") {
        return;
    }
    for page in pages {
        let output = Command::new("groff")
            .args(["-man", "-Tutf8", "-ww", "-P-cbou"])
            .arg(bench.path("man1").join(&page))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && errors.is_empty(), "{page}: {errors}");
        if page == "hayloft-packages-upload.1" {
            let text = String::from_utf8(output.stdout).unwrap();
            for part in ["--input-file=<input-file>", "EXIT STATUS", "SEE ALSO", "build/*.nupkg"] {
                assert!(text.contains(part), "{part}: {text}");
            }
        }
    }
}
