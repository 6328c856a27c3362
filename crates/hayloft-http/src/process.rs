//! What the system tells of this process, as Prometheus names it.

/// Name, help and value.
pub(crate) type Figure = (&'static str, &'static str, u64);

/// What is known; on other systems nothing is.
#[cfg(target_os = "linux")]
pub(crate) fn figures() -> Vec<Figure> {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let kibibytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    // `Max open files            1024                 524288               files`
    let limits = fs_err::read_to_string("/proc/self/limits").unwrap_or_default();
    let most = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let most = most.and_then(|line| line.split_whitespace().next()?.parse().ok());
    let open = fs_err::read_dir("/proc/self/fd").map(Iterator::count).ok();
    // The list itself is one.
    let open = open.and_then(|open| u64::try_from(open.saturating_sub(1)).ok());
    let bytes = |name| Some(kibibytes(name)? << 10);
    [
        ("process_open_fds", "Open files and sockets.", open),
        ("process_max_fds", "Files and sockets that may be open.", most),
        ("process_resident_memory_bytes", "Memory in use.", bytes("VmRSS:")),
        ("process_virtual_memory_bytes", "Addresses in use.", bytes("VmSize:")),
    ]
    .into_iter()
    .filter_map(|(name, help, value)| Some((name, help, value?)))
    .collect()
}

/// What is known; on other systems nothing is.
#[cfg(not(target_os = "linux"))]
pub(crate) fn figures() -> Vec<Figure> {
    Vec::new()
}
