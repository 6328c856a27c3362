//! `hayloft completions`: what shells need to finish commands. They ask the program itself, so that
//! there is one grammar.

use crate::arguments::{Command, Invocation, Opt, Word, candidates};
use crate::commands::ROOT;
use crate::console::Console;
use crate::failure::Failure;

const SHELLS: &[&str] = &["bash", "zsh", "fish", "powershell"];

pub(super) const COMMAND: Command = Command::action(
    "completions",
    "Prints what makes a shell finish hayloft's commands",
    &[Opt::one_of("shell", SHELLS, "The shell").required()],
    completions,
)
.words(&[Word::Value("shell")])
.examples(&[
    "hayloft completions bash > ~/.local/share/bash-completion/completions/hayloft",
    "hayloft completions zsh > ~/.zfunc/_hayloft      # with fpath+=~/.zfunc before compinit",
    "hayloft completions fish > ~/.config/fish/completions/hayloft.fish",
    "hayloft completions powershell >> $PROFILE",
]);

/// What the scripts call.
pub(super) const COMPLETE: Command = Command::action(
    "complete",
    "Prints the words that fit at the end of a command line",
    &[
        Opt::one_of("shell", SHELLS, "The shell").required(),
        Opt::text("word", "Words of the command line, the last one begun").hidden(),
    ],
    complete,
)
.words(&[Word::Values("word")])
.hidden();

fn completions(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    console.raw(match invocation.required("shell")? {
        "bash" => BASH,
        "zsh" => ZSH,
        "fish" => FISH,
        _ => POWERSHELL,
    })
}

fn complete(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let shell = invocation.required("shell")?;
    let mut words = invocation.listed().to_vec();
    let mut cut = String::new();
    match shell {
        "bash" => {
            words = joined(words);
            // It replaces what follows the sign only.
            if let Some((option, _)) = words.last().and_then(|word| word.split_once('='))
                && option.starts_with("--")
            {
                cut = format!("{option}=");
            }
        }
        // It leaves out empty words of other programs, so the last one comes with a sign before it.
        "powershell" => {
            if let Some(last) = words.last_mut() {
                *last = last.strip_prefix('=').unwrap_or(last).to_owned();
            }
        }
        _ => {}
    }
    for candidate in candidates(&ROOT, &words) {
        let word = candidate.word.strip_prefix(&cut).unwrap_or(&candidate.word);
        console.line(format_args!("{word}\t{}", candidate.description))?;
    }
    Ok(())
}

/// bash takes `--option=value` for three words.
fn joined(words: Vec<String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut open = false;
    for word in words {
        let sign = word == "=";
        match all.last_mut() {
            Some(last) if (sign && last.starts_with("--") && !last.contains('=')) || open => {
                last.push_str(&word);
                open = sign && !open;
            }
            _ => all.push(word),
        }
    }
    all
}

const BASH: &str = r#"# hayloft: words for bash
_hayloft() {
    local line
    COMPREPLY=()
    while IFS=$'\t' read -r line _; do
        COMPREPLY+=("$(printf '%q' "$line")")
    done < <("${COMP_WORDS[0]}" complete --shell=bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o bashdefault -o default -F _hayloft hayloft
"#;

const ZSH: &str = r#"#compdef hayloft
# hayloft: words for zsh
_hayloft() {
    local name text
    local -a found
    while IFS=$'\t' read -r name text; do
        found+=("${name//:/\\:}:$text")
    done < <("${words[1]}" complete --shell=zsh -- "${(@)words[2,CURRENT]}" 2>/dev/null)
    if (( ${#found} )); then
        _describe -t words hayloft found
    else
        _files
    fi
}
if [[ $funcstack[1] == _hayloft ]]; then
    _hayloft "$@"
else
    compdef _hayloft hayloft
fi
"#;

const FISH: &str = r"# hayloft: words for fish
function __hayloft_words
    set -l words (commandline -opc) (commandline -ct)
    $words[1] complete --shell=fish -- $words[2..-1] 2>/dev/null
end
complete -c hayloft -n 'count (__hayloft_words) >/dev/null' -f -a '(__hayloft_words)'
";

const POWERSHELL: &str = r#"# hayloft: words for PowerShell
Register-ArgumentCompleter -Native -CommandName hayloft -ScriptBlock {
    param($begun, $line, $cursor)
    $words = @($line.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })
    if ($begun -ne '' -and $words.Count -gt 0) {
        $words = @($words | Select-Object -SkipLast 1)
    }
    & $line.CommandElements[0].ToString() complete --shell=powershell -- @words "=$begun" | ForEach-Object {
        $name, $text = $_ -split "`t", 2
        [System.Management.Automation.CompletionResult]::new($name, $name, 'ParameterValue', $text)
    }
}
"#;

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&["a", "--x", "=", "y"], &["a", "--x=y"])]
    #[case(&["--x", "="], &["--x="])]
    #[case(&["--x", "=", "", "b"], &["--x=", "b"])]
    #[case(&["a", "=", "b"], &["a", "=", "b"])]
    fn what_bash_cuts_is_joined(#[case] words: &[&str], #[case] expected: &[&str]) {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(joined(words), expected);
    }
}
