package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"capf/runtime/capf"
	"capf/runtime/daemon"
	"capf/runtime/store/sqlite"
	"capf/runtime/web"
)

// printStory prints what the report knows of a phone, then how it stands with it, and its history.
func printStory(app *app, store *sqlite.Store, device string) error {
	story, err := readStory(app, store, device)
	if err != nil {
		return err
	}
	at, err := store.Moment()
	if err != nil {
		return err
	}
	diagnosis := story.Diagnose(at)
	names := append([]string{}, capf.ReportColumns...)
	names = append(names, "diagnosis", "next-step")
	values := append(anyOf(story.Phone.ReportRow(at)), diagnosis.Text, diagnosis.NextStep)
	tables := storyTables(story, at)
	if app.json {
		for _, one := range tables {
			names = append(names, one.name)
			values = append(values, one)
		}
		return app.fields(names, values)
	}
	if err := app.fields(names, values); err != nil {
		return err
	}
	for _, one := range tables {
		if err := one.print(app); err != nil {
			return err
		}
	}
	return nil
}

// readStory gathers it from the store, and from the service if one runs.
func readStory(app *app, store *sqlite.Store, device string) (*capf.Story, error) {
	attempts, err := store.Attempts(app.ctx, device)
	if err != nil {
		return nil, err
	}
	phone, err := store.Phone(app.ctx, device)
	if err != nil {
		return nil, unknownPhone(device, attempts, err)
	}
	story := &capf.Story{Phone: phone, Attempts: attempts}
	if story.Operations, err = store.Operations(app.ctx, device); err != nil {
		return nil, err
	}
	err = store.Certificates(app.ctx, device, func(one capf.Certificate) error {
		story.Certificates = append(story.Certificates, one)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if story.Held, err = store.LastHeldCall(app.ctx, device); err != nil {
		return nil, err
	}
	if story.Idle, err = store.LastIdleCall(app.ctx, device); err != nil {
		return nil, err
	}
	if story.Reset, err = store.LastReset(app.ctx, device); err != nil {
		return nil, err
	}
	story.Handshakes = askHandshakes(app, story.LastAddress())
	return story, nil
}

// unknownPhone says of a device that is not in the store whether it has called.
func unknownPhone(device string, attempts []capf.Attempt, err error) error {
	if len(attempts) == 0 || !capf.HasCode(err, capf.CodeNotFound) {
		return err
	}
	newest := attempts[0]
	return &capf.Error{Code: capf.CodeNotFound, Hint: "add it with `capf phone add " + device + "`",
		Message: fmt.Sprintf("phone %s is not in the store, but called: last at %s from %s", device, capf.FormatTime(newest.At), newest.Address)}
}

// askHandshakes asks the running service for the handshakes that failed from an address. The story is worth
// telling without them.
func askHandshakes(app *app, address string) *capf.HandshakeFailures {
	if address == "" {
		return nil
	}
	var failures []capf.HandshakeFailures
	_, err := daemon.Ask(app.ctx, app.data, web.PathHandshakeFailures+"?address="+url.QueryEscape(address), &failures)
	if err != nil {
		app.say("warning: handshakes that failed are not known: %v", err)
	}
	if err != nil || len(failures) == 0 {
		return nil
	}
	return &failures[0]
}

// table is one part of a phone's history.
type table struct {
	name    string
	columns []string
	rows    [][]any
}

func (t *table) add(values ...any) { t.rows = append(t.rows, values) }

// print shows the table under its name; an empty one is left out.
func (t *table) print(app *app) error {
	if len(t.rows) == 0 {
		return nil
	}
	if _, err := fmt.Fprintf(app.stdout, "\n%s\n", t.name); err != nil {
		return err
	}
	list := app.list(t.columns...)
	for _, row := range t.rows {
		list.add(row...)
	}
	return list.close()
}

// MarshalJSON gives an array of objects in the order of the columns.
func (t *table) MarshalJSON() ([]byte, error) {
	var buffer bytes.Buffer
	out := bufio.NewWriter(&buffer)
	rows := make([]json.RawMessage, 0, len(t.rows))
	for _, row := range t.rows {
		if err := errors.Join(writeObject(out, t.columns, row), out.Flush()); err != nil {
			return nil, err
		}
		rows = append(rows, bytes.Clone(buffer.Bytes()))
		buffer.Reset()
	}
	return json.Marshal(rows)
}

func storyTables(story *capf.Story, at capf.Moment) []*table {
	operations := &table{name: "operations", columns: []string{"id", "operation", "auth-mode", "key-size", "asked", "asked-by", "completes-by",
		"ending", "ended", "ended-by", "result", "result-text", "detail", "session", "address", "tls"}}
	for _, recorded := range story.Operations {
		one := recorded.At(at)
		session := one.Session
		if session == nil {
			session = &capf.OperationSession{}
		}
		result, words := "", ""
		if one.Result != nil {
			result, words = fmt.Sprint(int(*one.Result)), one.Result.String()
		}
		operations.add(one.Ref.ID, one.Operation, one.AuthMode, one.KeySize, capf.FormatTime(one.CreatedAt), one.CreatedBy,
			capf.FormatTime(one.CompletesBy), one.Ending, capf.FormatTime(one.EndedAt), one.EndedBy, result, words, one.Detail,
			capf.FormatTime(session.Started), session.Address, session.TLS)
	}
	attempts := &table{name: "attempts", columns: []string{"at", "address", "tls", "result", "result-text", "detail"}}
	for _, one := range story.Attempts {
		attempts.add(capf.FormatTime(one.At), one.Address, one.TLS, int(one.Result), one.Result.String(), one.Detail)
	}
	certificates := &table{name: "certificates", columns: []string{"serial", "kind", "state", "source", "not-before", "not-after",
		"recorded", "confirmed", "revoked", "revoke-reason", "issuer"}}
	for _, one := range story.Certificates {
		certificates.add(one.Serial, one.Kind, one.State, one.Source, capf.FormatTime(one.NotBefore), capf.FormatTime(one.NotAfter),
			capf.FormatTime(one.RecordedAt), capf.FormatTime(one.ConfirmedAt), capf.FormatTime(one.RevokedAt), one.RevokeReason, one.Issuer)
	}
	return []*table{operations, attempts, certificates, handshakeTable(story.Handshakes), idleTable(story.Idle)}
}

// idleTable has one row at the most: the last call in the phone's name for which nothing was pending.
func idleTable(call *capf.IdleCall) *table {
	t := &table{name: "idle-calls", columns: []string{"at", "address", "tls"}}
	if call != nil {
		t.add(capf.FormatTime(call.At), call.Address, call.TLS)
	}
	return t
}

// handshakeTable has one row at the most: the address that the phone used last.
func handshakeTable(failed *capf.HandshakeFailures) *table {
	t := &table{name: "failed-handshakes", columns: handshakeColumns}
	if failed != nil {
		t.add(handshakeRow(*failed)...)
	}
	return t
}
