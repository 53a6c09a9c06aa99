package main

import (
	"time"

	"capf/runtime/capf"
	"capf/runtime/daemon"
	"capf/runtime/web"
)

type sessionCommands struct {
	List     sessionListCommand     `cmd:"" help:"The sessions of the running service: what each waits for, since when, address and TLS version."`
	Failures sessionFailuresCommand `cmd:"" help:"The addresses from which TLS handshakes failed since the service started."`
}

type sessionListCommand struct{}

// Run lists the sessions, the oldest first. That no service runs is no failure: there are no sessions then.
func (c *sessionListCommand) Run(app *app) error {
	var sessions []capf.LiveSession
	running, err := daemon.Ask(app.ctx, app.data, web.PathSessions, &sessions)
	if err != nil {
		return err
	}
	if !running {
		app.say("no service runs on %s", app.data)
	}
	now := time.Now()
	list := app.list("device", "state", "age", "in-state", "address", "tls", "cipher-suite", "protocol", "operation", "started")
	for _, one := range sessions {
		list.add(one.Device, one.State, seconds(now.Sub(one.Started)), seconds(now.Sub(one.Since)), one.Address, one.TLS, one.CipherSuite,
			one.Protocol, one.Operation, capf.FormatTime(one.Started))
	}
	return list.close()
}

// seconds gives whole ones; a clock that was set back makes nothing negative.
func seconds(d time.Duration) int64 { return max(0, int64(d/time.Second)) }

type sessionFailuresCommand struct{}

// Run lists them, the newest first.
func (c *sessionFailuresCommand) Run(app *app) error {
	var failures []capf.HandshakeFailures
	running, err := daemon.Ask(app.ctx, app.data, web.PathHandshakeFailures, &failures)
	if err != nil {
		return err
	}
	if !running {
		app.say("no service runs on %s: what failed before is forgotten", app.data)
	}
	list := app.list(handshakeColumns...)
	for _, one := range failures {
		list.add(handshakeRow(one)...)
	}
	return list.close()
}

var handshakeColumns = []string{"address", "count", "first", "last", "kind", "reason"}

func handshakeRow(one capf.HandshakeFailures) []any {
	return []any{one.Address, one.Count, capf.FormatTime(one.First), capf.FormatTime(one.Last), one.Kind, one.Reason}
}
