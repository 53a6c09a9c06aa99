package config

import (
	"fmt"
	"os"
	"time"
)

// Distribute says how the servers of the cluster are reached: one name and password for all of them, as the
// CallManager has it (capf-guide.md, E4), or keys.
type Distribute struct {
	User          string   `toml:"user"`           // for targets without a name
	Password      Secret   `toml:"password"`       // only in a file that nobody else can read
	IdentityFiles []string `toml:"identity-files"` // private keys
	Agent         bool     `toml:"agent"`          // ask the agent at $SSH_AUTH_SOCK
	KnownHosts    string   `toml:"known-hosts"`    // file; empty: `known_hosts` in the data directory

	Parallel         int      `toml:"parallel"`          // nodes at a time
	ConnectTimeout   Duration `toml:"connect-timeout"`   // until a node's files can be reached
	OperationTimeout Duration `toml:"operation-timeout"` // for one request
	NodeTimeout      Duration `toml:"node-timeout"`      // for all of a node

	CheckEvery Interval `toml:"check-every"` // how often the service looks at what the nodes hold; `off`

	Passphrase Secret `toml:"-"` // of the private keys; from the environment
	AgentAt    string `toml:"-"` // socket; from the environment
}

// The environment variables for Distribute. The first two stand above the file.
const (
	SSHUserVariable       = "CAPF_SSH_USER"
	SSHPasswordVariable   = "CAPF_SSH_PASSWORD"
	SSHPassphraseVariable = "CAPF_SSH_PASSPHRASE"
	SSHAgentVariable      = "SSH_AUTH_SOCK"
)

func defaultDistribute() Distribute {
	return Distribute{Agent: true, Parallel: 32, ConnectTimeout: Duration{15 * time.Second}, OperationTimeout: Duration{15 * time.Second},
		NodeTimeout: Duration{time.Minute}, CheckEvery: Interval{time.Hour}}
}

// readEnvironment takes what does not belong into a file.
func (d *Distribute) readEnvironment() {
	if user := os.Getenv(SSHUserVariable); user != "" {
		d.User = user
	}
	if password := os.Getenv(SSHPasswordVariable); password != "" {
		d.Password = Secret(password)
	}
	d.Passphrase = Secret(os.Getenv(SSHPassphraseVariable))
	if d.Agent {
		d.AgentAt = os.Getenv(SSHAgentVariable)
	}
}

const maxParallel = 1000

// validate tells check about each value. Whether keys can be read shows when they are needed.
func (d Distribute) validate(check func(ok bool, field string, value any, reason string)) {
	check(d.Parallel > 0 && d.Parallel <= maxParallel, "distribute.parallel", d.Parallel, fmt.Sprintf("use 1 to %d nodes", maxParallel))
	check(d.ConnectTimeout.Duration > 0, "distribute.connect-timeout", d.ConnectTimeout, "use more than 0s")
	check(d.OperationTimeout.Duration > 0, "distribute.operation-timeout", d.OperationTimeout, "use more than 0s")
	check(d.NodeTimeout.Duration > 0, "distribute.node-timeout", d.NodeTimeout, "use more than 0s")
	check(d.CheckEvery.Duration == 0 || d.CheckEvery.Duration >= leastInterval, "distribute.check-every", d.CheckEvery,
		fmt.Sprintf("use %v or more, or off", leastInterval))
	for _, file := range d.IdentityFiles {
		check(file != "", "distribute.identity-files", "", "name a file, or leave it out")
	}
}
