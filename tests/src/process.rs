use std::time::Duration;

/// A running process, looked at through `/proc`, which only Linux has.
#[derive(Debug, Clone, Copy)]
pub struct Process(u32);

impl Process {
    /// The process with this number.
    pub fn new(id: u32) -> Self {
        Self(id)
    }

    /// Bytes of memory that it occupies now.
    pub fn memory(self) -> u64 {
        self.status("VmRSS")
    }

    /// The most bytes of memory that it occupied since its start or [`Self::forget_peak`].
    pub fn peak(self) -> u64 {
        self.status("VmHWM")
    }

    /// Begins a new measurement of [`Self::peak`].
    pub fn forget_peak(self) {
        fs_err::write(format!("/proc/{}/clear_refs", self.0), "5").unwrap();
    }

    /// Time of processors that it has used since its start, to a hundredth of a second.
    pub fn processor_time(self) -> Duration {
        let line = fs_err::read_to_string(format!("/proc/{}/stat", self.0)).unwrap();
        let (_, behind_name) = line.rsplit_once(')').unwrap();
        let ticks = behind_name.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// How many files and sockets it has open.
    pub fn open_files(self) -> usize {
        fs_err::read_dir(format!("/proc/{}/fd", self.0)).unwrap().count()
    }

    /// A variable of the environment in which it started.
    pub fn variable(self, name: &str) -> Option<String> {
        let environment = fs_err::read(format!("/proc/{}/environ", self.0)).unwrap();
        let environment = String::from_utf8_lossy(&environment);
        let mut variables = environment.split('\0').filter_map(|line| line.split_once('='));
        variables.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
    }

    fn status(self, field: &str) -> u64 {
        let status = fs_err::read_to_string(format!("/proc/{}/status", self.0)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        let kibibytes = line.trim_start_matches(':').trim().strip_suffix(" kB").unwrap();
        kibibytes.parse::<u64>().unwrap() * 1024
    }
}
