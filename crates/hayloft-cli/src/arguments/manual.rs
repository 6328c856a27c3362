//! Manual pages out of the grammar.

use std::fmt::Write;

use super::grammar::{Command, Kind, Opt};
use super::usage::{described, rest, spelled};

/// One page of section 1.
#[derive(Debug)]
pub(crate) struct Page {
    /// Such as `hayloft-packages-upload`.
    pub(crate) name: String,
    /// In roff.
    pub(crate) text: String,
}

/// A page for each command that people see.
pub(crate) fn pages(root: &'static Command) -> Vec<Page> {
    let mut found = Vec::new();
    walk(&mut vec![root], &mut found);
    found
}

fn walk(path: &mut Vec<&'static Command>, found: &mut Vec<Page>) {
    found.push(Page { name: name(path), text: page(path) });
    let Some(command) = path.last() else { return };
    for child in command.shown() {
        path.push(child);
        walk(path, found);
        path.pop();
    }
}

fn name(path: &[&'static Command]) -> String {
    path.iter().map(|command| command.name).collect::<Vec<_>>().join("-")
}

fn page(path: &[&'static Command]) -> String {
    let mut text = String::new();
    let Some((command, parents)) = path.split_last() else { return text };
    let words: Vec<&str> = path.iter().map(|command| command.name).collect();
    let release = concat!("hayloft ", env!("CARGO_PKG_VERSION"));
    let title = name(path).to_uppercase();
    let _ = writeln!(text, ".TH \"{title}\" \"1\" \"\" \"{release}\" \"\"\n.ad l\n.nh");
    let _ =
        writeln!(text, ".SH NAME\n{} \\- {}", escaped(&name(path)), escaped(command.description));
    let synopsis = escaped(&rest(path));
    let _ = writeln!(text, ".SH SYNOPSIS\n\\fB{}\\fR {synopsis}", escaped(&words.join(" ")));
    let _ = writeln!(text, ".SH DESCRIPTION\n{}.", escaped(command.description));
    if parents.is_empty() {
        text.push_str(OVERVIEW);
    }
    if let Kind::Group(_) = command.kind {
        text.push_str(".SH COMMANDS\n");
        for child in command.shown() {
            let _ = writeln!(
                text,
                ".TP\n\\fB{}\\fR(1)\n{}.",
                escaped(&format!("{}-{}", name(path), child.name)),
                escaped(child.description)
            );
        }
    }
    text.push_str(".SH OPTIONS\n");
    for command in path.iter().rev() {
        for option in command.options.iter().filter(|option| !option.hidden) {
            entry(&mut text, option);
        }
    }
    text.push_str(".TP\n\\fB\\-?\\fR, \\fB\\-h\\fR, \\fB\\-\\-help\\fR\nShow the usage.\n");
    if !command.examples.is_empty() {
        text.push_str(".SH EXAMPLES\n");
        for example in command.examples {
            let _ = writeln!(text, ".PP\n.nf\n.RS\n{}\n.RE\n.fi", escaped(example));
        }
    }
    text.push_str(STATUS);
    if parents.is_empty() {
        text.push_str(SURROUNDINGS);
    } else {
        let _ = writeln!(text, ".SH SEE ALSO\n\\fB{}\\fR(1)", escaped(&name(parents)));
    }
    text
}

fn entry(text: &mut String, option: &'static Opt) {
    // Long choices may be broken between two of them.
    let spelled = escaped(&spelled(option)).replace('|', "|\\:");
    let description = escaped(&described(option));
    let _ = writeln!(text, ".TP\n\\fB{spelled}\\fR\n{description}.");
}

/// Text that roff sets as it is: a hyphen in a command is no hyphen of a word, and lines that begin
/// with a dot or a quote are no requests.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    if text.starts_with('.') { format!("\\&{text}") } else { text }
}

const OVERVIEW: &str = ".PP
A store is a directory of this machine. Commands work on it directly, or with \\fB\\-\\-source\\fR on a
server, which may be another hayloft or speak the same API.
.PP
Words may stand in place of options: \\fBhayloft packages upload dev *.nupkg\\fR. A version follows the
name of its package behind an \\fB@\\fR.
";

const STATUS: &str = ".SH EXIT STATUS
.TP
0
Success.
.TP
1
What was asked for was not done; of \\fBhayloft\\-verify\\fR(1): damage was found.
.TP
2
The command line is wrong; of \\fBhayloft\\-verify\\fR(1): the store could not be checked.
.TP
130
Interrupted.
";

const SURROUNDINGS: &str = ".SH ENVIRONMENT
.TP
\\fBHAYLOFT_STORE\\fR
The store, where \\fB\\-\\-store\\fR does not name one.
.TP
\\fBHAYLOFT_ADMIN_KEY\\fR
Text of a key that may do everything, for \\fBhayloft\\-serve\\fR(1).
.TP
\\fBHAYLOFT_LOG\\fR
What is logged, such as \\fBdebug\\fR.
.TP
\\fBSSL_CERT_FILE\\fR
Certificates of authorities in PEM, in place of those built in.
.TP
\\fBNO_COLOR\\fR
No colours.
.SH FILES
.TP
\\fI~/.config/pgutil/pgutil.config\\fR
Servers with a name, and their keys.
.TP
\\fIhayloft\\-data\\fR
The store, if none is named.
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::ROOT;

    #[test]
    fn every_command_and_option_has_its_place() {
        fn walk(path: &mut Vec<&'static Command>, pages: &[Page]) {
            let command = path[path.len() - 1];
            let page = pages.iter().find(|page| page.name == name(path)).unwrap();
            for option in path.iter().flat_map(|command| command.options) {
                let spelled = escaped(&format!("--{}", option.name));
                assert_eq!(page.text.contains(&spelled), !option.hidden, "{} {spelled}", page.name);
            }
            for child in command.shown() {
                path.push(child);
                walk(path, pages);
                path.pop();
            }
        }
        let pages = pages(&ROOT);
        walk(&mut vec![&ROOT], &pages);
        assert!(pages.len() > 40, "{}", pages.len());
        assert!(!pages.iter().any(|page| page.name == "hayloft-complete"), "it is not for people");
    }
}
