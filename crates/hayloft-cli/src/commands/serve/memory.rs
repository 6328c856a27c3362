//! What a server keeps of the memory that it once used.

/// Starts the program again with one arena for the memory of all threads; returns if that is how
/// it runs, or if it cannot be.
///
/// The GNU C library gives threads arenas of their own. Pages of the store's cache are read by one
/// thread and dropped by another, which leaves holes everywhere: lists of 100,000 versions made a
/// server grow to more than twice its cache, where one arena stays at it and is as fast. The
/// library reads the number of arenas before the program begins. Whoever sets the variable decides.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(super) fn share_one_arena() {
    use std::env;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    const ARENAS: &str = "MALLOC_ARENA_MAX";
    let (Ok(program), None) = (env::current_exe(), env::var_os(ARENAS)) else { return };
    let mut arguments = env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // The same process goes on in it, for those who wait for it or send it signals.
    let error = again.args(arguments).env(ARENAS, "1").exec();
    tracing::warn!(%error, "the server may use more memory than its cache");
}

/// Other systems have no such arenas.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn share_one_arena() {}
