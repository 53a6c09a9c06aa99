package daemon

import (
	"fmt"

	"golang.org/x/sys/unix"

	"capf/runtime/capf"
	"capf/runtime/phonefiles"
)

// How many open files the service keeps for what is no session. Whoever finds no place at the admin address or the socket
// waits in the system until one of those before is done, or has been silent for too long: phones are not affected.
const (
	reservedFiles     = 72 // for the store, traces, looks at the nodes, resets and the next connection
	adminConnections  = 48 // of people, of monitors, and of servers that fetch CRLs
	socketConnections = 8  // of commands on this machine
)

// sessionLimits gives how many connections may speak at a time, and how many more may wait for a place, so
// that idle connections can never take the files that the service itself needs.
func (d *Daemon) sessionLimits() (sessions, waiting int, err error) {
	files, err := openFiles()
	if err != nil {
		return 0, 0, err
	}
	usable := files - reservedFiles - adminConnections - socketConnections - d.fileConnections(files)*phonefiles.DescriptorsPerConnection
	if usable < 4 {
		return 0, 0, &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("at most %d files may be open", files),
			Hint: "raise the limit (ulimit -n)"}
	}
	sessions = d.options.Config.Phone.MaxSessions
	if most := usable / 4 * 3; sessions > most {
		d.options.Log.Info("the limit on open files allows fewer sessions than configured", "configured", sessions, "sessions", most, "open-files", files)
		sessions = most
	}
	return sessions, usable - sessions, nil
}

// openFiles gives how many files the service may have open.
func openFiles() (int, error) {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return 0, fmt.Errorf("ask for the limit on open files: %w", err)
	}
	return int(min(files.Cur, 1<<30)), nil
}
