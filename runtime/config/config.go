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
