package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"capf/runtime/capf"
	"capf/runtime/phone"
)

type simulateCommand struct {
	Server     string        `required:"" help:"Address of the service, host:port." placeholder:"ADDR"`
	Phones     int           `help:"How many phones call." default:"1"`
	First      string        `help:"The first device; the others count up from it." default:"SEP001122334400" placeholder:"DEVICE"`
	Parallel   int           `help:"How many call at a time." default:"1"`
	CTL        string        `name:"ctl" help:"The trust list by which the phones check the service." placeholder:"FILE" xor:"trust" required:""`
	NoCTL      bool          `name:"no-ctl" help:"Take any service: for trials only." xor:"trust" required:""`
	AuthString string        `help:"What the users type; without it the phones show the LSC in their flash, or where there is none use the null string." placeholder:"DIGITS"`
	KeySize    *capf.KeySize `help:"The only size of which the phones make keys; default: what the service asks for." placeholder:"K"`
	TLS        string        `name:"tls" help:"Speak this version only: 1.0, 1.1, 1.2 or 1.3." placeholder:"V"`
	Protocol   uint8         `help:"Version of the protocol: 2 or 3." default:"3"`
	Flash      string        `help:"Folder in which the phones keep what they keep; default: in memory." type:"path" placeholder:"DIR"`
	RetryWait  time.Duration `help:"Wait before a phone calls again after a broken line (real phones: 30s, three times)." default:"30s"`
}

// Run has the phones call; it fails unless every one of them got what was asked.
func (c *simulateCommand) Run(app *app) error {
	devices, err := phone.Sequence(c.First, c.Phones)
	if err != nil {
		return &capf.Error{Code: capf.CodeInvalid, Message: "phones", Err: err}
	}
	config, err := c.phoneConfig(app)
	if err != nil {
		return err
	}
	if c.Parallel < 1 {
		return &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("--parallel %d", c.Parallel), Hint: "use 1 or more"}
	}
	first := config
	first.Device = devices[0]
	if _, err := phone.New(first); err != nil {
		return &capf.Error{Code: capf.CodeInvalid, Message: "phones", Err: err}
	}
	fleet := &phone.Fleet{Devices: devices, Parallel: c.Parallel, Prepare: c.prepare(config)}
	fleet.Finished = func(outcome phone.Outcome) {
		if outcome.Err != nil {
			app.say("%s: %v", outcome.Device, outcome.Err)
		}
	}
	summary := fleet.Run(app.ctx)
	if err := c.tell(app, summary); err != nil {
		return err
	}
	if err := summary.Err(); err != nil && summary.Succeeded > 0 {
		return &capf.Error{Code: capf.CodePart, Message: err.Error()}
	}
	return summary.Err()
}

// phoneConfig gives what all the phones have in common.
func (c *simulateCommand) phoneConfig(app *app) (phone.Config, error) {
	config := phone.Config{Server: c.Server, Version: c.Protocol, Mode: capf.AuthByNullString, Retry: phone.Retry{Times: phone.PhoneRetry.Times, Wait: c.RetryWait}}
	if c.AuthString != "" {
		digits, err := capf.ParseAuthenticationString(c.AuthString)
		if err != nil {
			return phone.Config{}, err
		}
		config.Mode, config.AuthenticationString = capf.AuthByString, digits
	}
	if c.KeySize != nil {
		config.KeySize = *c.KeySize
	}
	if c.TLS != "" {
		version, err := phone.ParseTLSVersion(c.TLS)
		if err != nil {
			return phone.Config{}, &capf.Error{Code: capf.CodeInvalid, Message: "--tls", Err: err}
		}
		config.TLS = phone.TLSOnly(version)
	}
	if app.logLevel == "debug" {
		config.Log = slog.New(slog.NewTextHandler(app.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	verify, err := c.trust()
	config.VerifyServer = verify
	return config, err
}

func (c *simulateCommand) trust() (phone.VerifyServer, error) {
	if c.NoCTL {
		return phone.AnyServer, nil
	}
	raw, err := readListFile(c.CTL)
	if err != nil {
		return nil, err
	}
	verify, err := phone.TrustList(raw)
	if err != nil {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: c.CTL, Err: err}
	}
	return verify, nil
}

// prepare makes each phone when its turn comes.
func (c *simulateCommand) prepare(config phone.Config) func(string) (*phone.Phone, func() error, error) {
	return func(device string) (*phone.Phone, func() error, error) {
		config := config
		config.Device = device
		var release func() error
		if c.Flash != "" {
			flash, closer, err := phone.OpenFolderFlash(c.Flash, device)
			if err != nil {
				return nil, nil, err
			}
			config.Flash, release = flash, closer.Close
			if err := showLSC(&config); err != nil {
				return nil, nil, errors.Join(err, release())
			}
		}
		made, err := phone.New(config)
		return made, release, err
	}
}

// showLSC has a phone that would use the null string show the LSC that it keeps, if it does: a service that asks for
// none takes it as well, as it looks at neither in that mode.
func showLSC(config *phone.Config) error {
	if config.Mode != capf.AuthByNullString {
		return nil
	}
	lsc, err := config.Flash.LSC()
	if lsc != nil {
		config.Mode = capf.AuthByLSC
	}
	return err
}

// tell prints what came of it.
func (c *simulateCommand) tell(app *app, summary phone.Summary) error {
	versions := make(map[string]int, len(summary.TLSVersions))
	for version, count := range summary.TLSVersions {
		versions[tls.VersionName(version)] = count
	}
	names := []string{"phones", "succeeded", "failed", "not-run", "retried", "operations", "tls", "seconds", "latency-half-ms", "latency-99-ms"}
	values := []any{summary.Phones, summary.Succeeded, len(summary.Failed), summary.NotRun, summary.Retried, counts(app, summary.Operations),
		counts(app, versions), summary.Elapsed.Seconds(), summary.Latency.Half.Milliseconds(), summary.Latency.NinetyNine.Milliseconds()}
	return app.fields(names, values)
}

// counts keeps a map for JSON and writes it out for people.
func counts[K ~string](app *app, numbers map[K]int) any {
	if app.json {
		return numbers
	}
	text := ""
	for _, key := range slices.Sorted(maps.Keys(numbers)) {
		text += fmt.Sprintf("%s %d ", key, numbers[key])
	}
	return text
}
