// Package config reads what belongs to this machine: addresses, limits and the log, from a TOML file over
// working defaults. What belongs to the cluster is in the store. The names are a contract (`cli.md`).
package config

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"
	"github.com/pelletier/go-toml/v2"

	"capf/runtime/capf"
)

// Config is the configuration of one machine.
type Config struct {
	Phone Phone `toml:"phone"`
	Admin Admin `toml:"admin"`
	Log   Log   `toml:"log"`
	Reset Reset `toml:"reset"`

	Distribute Distribute `toml:"distribute"`
	Files      Files      `toml:"files"`
}

// Phone is about the port on which phones call.
type Phone struct {
	Listen                     string   `toml:"listen"` // host:port; empty: every address, the port of the enterprise parameter
	MinTLS                     string   `toml:"min-tls"`
	MaxSessions                int      `toml:"max-sessions"`
	MaxSessionsPerAddress      int      `toml:"max-sessions-per-address"` // 0: no limit, phones sit behind one address
	HandshakeTimeout           Duration `toml:"handshake-timeout"`
	MessageTimeout             Duration `toml:"message-timeout"`
	AnnounceAuthenticationType bool     `toml:"announce-authentication-type"`
}

// Admin is about the address for people and monitors.
type Admin struct {
	Listen string `toml:"listen"` // host:port, or `off`
}

// Log is about the log on standard error.
type Log struct {
	Level  string `toml:"level"`  // debug, info, warn or error
	Format string `toml:"format"` // text or json
}

// Duration is a time.Duration written as `10s`. It is a struct, so that a bare number is refused and not
// taken for nanoseconds.
type Duration struct{ time.Duration }

// UnmarshalText takes what time.ParseDuration takes.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	d.Duration = parsed
	return err
}

// MarshalText writes it as `10s`.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// AdminOff is the value of Admin.Listen with which there is no such address.
const AdminOff = Off

// Default is the configuration without a file.
func Default() Config {
	return Config{
		Phone: Phone{MinTLS: "1.0", MaxSessions: 20000, HandshakeTimeout: Duration{10 * time.Second}, MessageTimeout: Duration{time.Minute}},
		Admin: Admin{Listen: "127.0.0.1:8804"},
		Log:   Log{Level: "info", Format: "text"},
		Reset: defaultReset(),

		Distribute: defaultDistribute(),
		Files:      defaultFiles(),
	}
}

// Load reads a file over the defaults, then secrets from the environment; an empty path gives the defaults. Every
// problem is named, with file and line where it has one.
func Load(path string) (Config, error) {
	config := Default()
	where := "environment"
	var settings []setting
	if path != "" {
		where = path
		var err error
		if settings, err = config.read(path); err != nil {
			return Config{}, err
		}
	}
	config.Reset.readSecrets()
	config.Distribute.readEnvironment()
	problems := config.problems()
	for i := range problems {
		problems[i].line = lineOf(settings, problems[i].key)
	}
	if err := gather(problems); err != nil {
		return Config{}, &capf.Error{Code: capf.CodeInvalid, Message: where, Err: err}
	}
	return config, nil
}

// read reads a file, which others must not see where it has a secret, and gives where its settings stand.
func (c *Config) read(path string) ([]setting, error) {
	refuse := func(err error) ([]setting, error) {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: "configuration", Err: err, Hint: "check --config"}
	}
	file, err := os.Open(path)
	if err != nil {
		return refuse(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return refuse(err)
	}
	content, err := io.ReadAll(file)
	if err != nil {
		return refuse(err)
	}
	content = bytes.TrimPrefix(content, []byte("\uFEFF")) // as Windows editors put before UTF-8
	if err := toml.NewDecoder(bytes.NewReader(content)).DisallowUnknownFields().Decode(c); err != nil {
		return nil, positioned(path, content, err)
	}
	if mode := info.Mode().Perm(); c.Distribute.Password != "" && mode&0o077 != 0 {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("%s: has distribute.password, and others can read it (mode %04o)", path, mode),
			Hint: "run chmod 600, and change the password if it may have been seen"}
	}
	return settingsOf(content), nil
}

// positioned puts file, line and key before what the TOML reader says.
func positioned(path string, content []byte, err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		lines := make([]string, len(unknown.Errors))
		for i, problem := range unknown.Errors {
			row, _ := problem.Position()
			lines[i] = fmt.Sprintf("line %d: unknown key %s", row, strings.Join(problem.Key(), "."))
		}
		return &capf.Error{Code: capf.CodeInvalid, Message: path + ": " + strings.Join(lines, ", "), Hint: "see the README for the keys"}
	}
	if err := unfitting(path, content); err != nil {
		return err
	}
	var undecoded *toml.DecodeError
	if errors.As(err, &undecoded) {
		return broken(path, content, undecoded)
	}
	return &capf.Error{Code: capf.CodeInvalid, Message: path, Err: err}
}

// tlsVersions are the values of min-tls.
var tlsVersions = map[string]uint16{"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// TLS gives the version of crypto/tls; 0 for a value that Validate refuses.
func (p Phone) TLS() uint16 { return tlsVersions[p.MinTLS] }

const levels = "use debug, info, warn or error"

// SlogLevel gives the level for slog.
func (l Log) SlogLevel() (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return 0, &capf.Error{Code: capf.CodeInvalid, Message: "log.level = " + l.Level, Hint: levels}
	}
	return level, nil
}

// Validate collects everything that cannot be, as field, value and reason.
func (c Config) Validate() error { return gather(c.problems()) }

func (c Config) problems() []problem {
	var problems []problem
	check := func(ok bool, field string, value any, reason string) {
		if !ok {
			problems = append(problems, problem{key: field, value: fmt.Sprint(value), reason: reason})
		}
	}
	check(c.Phone.TLS() != 0, "phone.min-tls", c.Phone.MinTLS, "use 1.0, 1.1, 1.2 or 1.3")
	check(c.Phone.Listen == "" || IsAddress(c.Phone.Listen), "phone.listen", c.Phone.Listen, "use host:port")
	check(c.Admin.Listen == AdminOff || IsAddress(c.Admin.Listen), "admin.listen", c.Admin.Listen, "use host:port or off")
	check(c.Phone.MaxSessions > 0, "phone.max-sessions", c.Phone.MaxSessions, "use 1 or more")
	check(c.Phone.MaxSessionsPerAddress >= 0, "phone.max-sessions-per-address", c.Phone.MaxSessionsPerAddress, "use 0 (no limit) or more")
	check(c.Phone.HandshakeTimeout.Duration > 0, "phone.handshake-timeout", c.Phone.HandshakeTimeout, "use more than 0s")
	check(c.Phone.MessageTimeout.Duration > 0, "phone.message-timeout", c.Phone.MessageTimeout, "use more than 0s")
	check(c.Log.Format == "text" || c.Log.Format == "json", "log.format", c.Log.Format, "use text or json")
	c.Reset.validate(check)
	c.Distribute.validate(check)
	c.Files.validate(check)
	_, err := c.Log.SlogLevel()
	check(err == nil, "log.level", c.Log.Level, levels)
	return problems
}

// gather makes one error of them, in one line; nil of none.
func gather(problems []problem) error {
	var all *multierror.Error
	for _, one := range problems {
		all = multierror.Append(all, &capf.Error{Code: capf.CodeInvalid, Message: one.Error()})
	}
	if all != nil {
		all.ErrorFormat = oneLine
	}
	return all.ErrorOrNil()
}

func oneLine(problems []error) string {
	words := make([]string, len(problems))
	for i, problem := range problems {
		words[i] = problem.Error()
	}
	return strings.Join(words, ", ")
}

// IsAddress reports whether the text is host:port; the host may be empty, the port a name.
func IsAddress(text string) bool {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	_, err = net.LookupPort("tcp", port)
	return err == nil
}

// Files is about the address at which phones fetch their files over HTTP where there is no TFTP server.
type Files struct {
	Listen string `toml:"listen"` // host:port, or `off`; phones ask at port 6970
	Folder string `toml:"folder"` // with their configuration files; empty: the trust lists only
}

func defaultFiles() Files { return Files{Listen: Off} }

// IsOn reports whether phones get files here.
func (f Files) IsOn() bool { return f.Listen != "" && f.Listen != Off }

// validate tells check about the address; whether the folder can be opened shows when the service starts.
func (f Files) validate(check func(ok bool, field string, value any, reason string)) {
	check(!f.IsOn() || IsAddress(f.Listen), "files.listen", f.Listen, "use host:port, as :6970, or off")
}

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

// Reset says how phones are reset; nothing in it means that they cannot be from here. Exactly one of command
// and URL may be given. In both `{device}` stands for the name of the device.
type Reset struct {
	Command []string `toml:"command"` // program and arguments; no shell sees them
	URL     string   `toml:"url"`     // of a POST request
	Rate    float64  `toml:"rate"`    // phones a second
	Timeout Duration `toml:"timeout"` // for one phone

	// Authorization goes into the header of that name. It comes from the environment.
	Authorization Secret `toml:"-"`
}

// AuthorizationVariable is the environment variable with the header Authorization of reset requests.
const AuthorizationVariable = "CAPF_RESET_AUTHORIZATION"

// Secret is a text that is not printed.
type Secret string

// String shows that there is a secret, never which.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(secret)"
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue is String, for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String, for encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

const (
	maxResetRate = 1000
	devicePlace  = "{device}"
)

func defaultReset() Reset { return Reset{Rate: 5, Timeout: Duration{10 * time.Second}} }

// IsSet reports whether phones can be reset.
func (r Reset) IsSet() bool { return len(r.Command) > 0 || r.URL != "" }

// readSecrets takes what does not belong into a file.
func (r *Reset) readSecrets() {
	if r.URL != "" {
		r.Authorization = Secret(os.Getenv(AuthorizationVariable))
	}
}

// validate tells check about each value; what an address must be like is for package reset to say.
func (r Reset) validate(check func(ok bool, field string, value any, reason string)) {
	check(len(r.Command) == 0 || r.URL == "", "reset.url", hideQuery(r.URL), "use either command or url")
	if r.Command != nil {
		problem := r.commandProblem()
		check(problem == "", "reset.command", fmt.Sprintf("%q", r.Command), problem)
	}
	if r.URL != "" {
		check(strings.Contains(r.URL, devicePlace) && (strings.HasPrefix(r.URL, "https://") || strings.HasPrefix(r.URL, "http://")),
			"reset.url", hideQuery(r.URL), "use https://host/path with "+devicePlace+" in it")
	}
	check(r.Rate > 0 && r.Rate <= maxResetRate, "reset.rate", r.Rate, fmt.Sprintf("use more than 0 and at most %d phones a second", maxResetRate))
	check(r.Timeout.Duration > 0, "reset.timeout", r.Timeout, "use more than 0s")
	check(!strings.ContainsFunc(string(r.Authorization), func(c rune) bool { return c < ' ' || c > '~' }), AuthorizationVariable, r.Authorization,
		"use printable ASCII characters only")
}

func (r Reset) commandProblem() string {
	switch {
	case len(r.Command) == 0 || r.Command[0] == "":
		return "name a program, then its arguments"
	case strings.Contains(r.Command[0], devicePlace):
		return devicePlace + " cannot be in the name of the program"
	case !strings.Contains(strings.Join(r.Command[1:], "\n"), devicePlace):
		return "put " + devicePlace + " into an argument"
	case strings.Contains(strings.Join(r.Command, ""), "\x00"):
		return "leave out NUL characters"
	}
	return ""
}

// hideQuery shows of an address what cannot be a secret.
func hideQuery(address string) string {
	parsed, err := url.Parse(address)
	if err != nil || address == "" {
		return "(not shown)"
	}
	return (&url.URL{Scheme: parsed.Scheme, Host: parsed.Host, Path: parsed.Path}).Redacted()
}

// Off is the word for what is not to be.
const Off = "off"

// leastInterval keeps a slip of the pen from logging in to every server without a pause.
const leastInterval = time.Second

// Interval is how often something is done, written as `1h`, or `off`: never, which is 0.
type Interval struct{ time.Duration }

// UnmarshalText takes what time.ParseDuration takes, save 0, and `off`.
func (i *Interval) UnmarshalText(text []byte) error {
	if string(text) == Off {
		i.Duration = 0
		return nil
	}
	parsed, err := time.ParseDuration(string(text))
	if err == nil && parsed == 0 {
		err = errors.New("0 is no interval: write off")
	}
	i.Duration = parsed
	return err
}

// String writes it as it stands in a file.
func (i Interval) String() string {
	if i.Duration == 0 {
		return Off
	}
	return i.Duration.String()
}

// MarshalText is String, for encoders.
func (i Interval) MarshalText() ([]byte, error) { return []byte(i.String()), nil }
