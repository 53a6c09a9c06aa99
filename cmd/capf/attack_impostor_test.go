package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/phone"
	"capf/runtime/wire"
)

// CVE-2014-0743: crafted data without authentication changes device records. Nothing but a finished
// authentication may alter a record, and only that phone's.

const (
	mine, theirs          = "SEP00000000000A", "SEP00000000000B"
	myDigits, theirDigits = "00424711", "11174240"
	shown                 = "SEP00000000000C" // authenticates by its LSC
)

// A phone that speaks for another: with a string or an LSC of its own and the other's name.
func TestAttackSpeakForAnother(t *testing.T) {
	a := newTarget(t, "")
	a.waiting(mine, 1, "install", "authentication-string", myDigits)
	a.waiting(theirs, 1, "install", "authentication-string", theirDigits)
	message := a.showsCertificate(shown)
	flash := phone.NewMemoryFlash()
	a.enrolled(t, "SEP00000000000D", flash)
	for _, one := range []string{"SEP00000000000D", "SEP00000000000E"} {
		a.waiting(one, 1, "install", "existing-certificate-lsc", "")
	}

	a.unchanged(func() {
		for name, pretend := range map[string]func(*phone.Config){
			"my string, their name": func(c *phone.Config) { c.Device = theirs },
			"my string, their name from the message on": func(c *phone.Config) {
				c.OnAuthenticate = func(r *wire.AuthenticationResponse) { r.DeviceName = theirs }
			},
			"their name by null string": func(c *phone.Config) { c.Device, c.Mode = theirs, capf.AuthByNullString },
			"a name that nobody has":    func(c *phone.Config) { c.Device = "SEP00000000000F" },
			"their name in lower case":  func(c *phone.Config) { c.Device = strings.ToLower(theirs) },
			"my LSC, their name":        func(c *phone.Config) { c.Device, c.Mode, c.Flash = shown, capf.AuthByLSC, flash },
			"my LSC, one that has none": func(c *phone.Config) { c.Device, c.Mode, c.Flash = "SEP00000000000E", capf.AuthByLSC, flash },
			"my LSC, their name from the message on": func(c *phone.Config) {
				c.Device, c.Mode, c.Flash = "SEP00000000000D", capf.AuthByLSC, flash
				c.OnAuthenticate = func(r *wire.AuthenticationResponse) { r.DeviceName = shown }
			},
			"their LSC without its key": func(c *phone.Config) {
				c.OnAuthenticate = func(r *wire.AuthenticationResponse) { *r = message }
			},
			"their LSC, the proofs of mine": func(c *phone.Config) {
				c.Device, c.Mode, c.Flash = "SEP00000000000D", capf.AuthByLSC, flash
				c.OnAuthenticate = func(r *wire.AuthenticationResponse) { r.DeviceName, r.Certificate = shown, message.Certificate }
			},
			"their LSC and no proof": func(c *phone.Config) {
				c.OnAuthenticate = func(r *wire.AuthenticationResponse) {
					*r = say(shown)
					r.Certificate = message.Certificate
				}
			},
		} {
			t.Run(name, func(t *testing.T) { a.pretends(t, pretend) })
		}
	})
	a.entitled(t, flash)
	a.unharmed()
}

// enrolled gives a phone an LSC.
func (a *target) enrolled(t *testing.T, device string, flash phone.Flash) {
	t.Helper()
	a.waiting(device, 1, "install", "null-string", "")
	config := a.caller(device)
	config.Flash = flash
	if outcome := a.call(config); outcome.Err != nil {
		t.Fatal(outcome.Err)
	}
}

// pretends has a phone call as it is not; the service must refuse it.
func (a *target) pretends(t *testing.T, pretend func(*phone.Config)) {
	digits, err := capf.ParseAuthenticationString(myDigits)
	if err != nil {
		t.Fatal(err)
	}
	config := a.caller(mine)
	config.Mode = capf.AuthByString
	pretend(&config)
	if config.Mode == capf.AuthByString {
		config.AuthenticationString = digits
	}
	outcome := a.call(config)
	if reason := outcome.Reason.Value; outcome.Err == nil || reason != wire.ReasonRefused && reason != wire.ReasonUnknownDevice {
		t.Errorf("reason %v, operation %s: %v", reason, outcome.Operation, outcome.Err)
	}
}

// entitled has those phones call whose names were used: they get what was set for them.
func (a *target) entitled(t *testing.T, flash phone.Flash) {
	t.Helper()
	for device, text := range map[string]string{mine: myDigits, theirs: theirDigits} {
		digits, err := capf.ParseAuthenticationString(text)
		if err != nil {
			t.Fatal(err)
		}
		config := a.caller(device)
		config.Mode, config.AuthenticationString = capf.AuthByString, digits
		if outcome := a.call(config); outcome.Err != nil {
			t.Errorf("%s: %v", device, outcome.Err)
		}
	}
	config := a.caller("SEP00000000000D")
	config.Mode, config.Flash = capf.AuthByLSC, flash
	if outcome := a.call(config); outcome.Err != nil {
		t.Errorf("%s: %v", config.Device, outcome.Err)
	}
}

// Messages full of data, to phones in every mode, from somebody who has nothing to authenticate with.
func TestAttackCraftedData(t *testing.T) {
	a := newTarget(t, "")
	a.waiting(mine, 1, "install", "authentication-string", myDigits)
	a.waiting(theirs, 1, "delete", "authentication-string", theirDigits)
	a.showsCertificate(shown)
	a.waiting("SEP000000000010", 1, "none", "null-string", "") // nothing is pending
	names := []string{mine, theirs, shown, "SEP000000000010", "SEP0000000000FF", "CSFALICE",
		"x' OR 1=1 --", "SEP00000000000_", "SEP%", "*", "../../etc/passwd", "/etc/passwd", "..", ".", "a/b", `a\b`, "-rf", "$(id)", "`id`",
		"a;id", "a\x1b[2J", "\xff\xfe", strings.Repeat("A", wire.MaxText), strings.Repeat("A", wire.MaxText+1), ""}
	var all []anyCommand
	for _, name := range names {
		for _, command := range []wire.Command{wire.CommandAuthenticationResponse, wire.CommandKeyGenerationResponse,
			wire.CommandStoreCertificateResponse, wire.CommandFetchCertificateResponse, wire.CommandDeleteCertificateResponse,
			wire.CommandEndSession, wire.CommandAbortRequest} {
			all = append(all, a.crafted(command, name))
		}
	}
	a.unchanged(func() {
		each(t, len(all), func(number int) error { return a.strange(all[number]) })
	})
	if left := a.files(); strings.Contains(left, "traces/") {
		t.Errorf("files were written:\n%s", left)
	}
	a.unharmed()
}

// crafted is a message with an element of every kind in it.
func (a *target) crafted(command wire.Command, name string) anyCommand {
	elements := []wire.Element{
		{Tag: wire.TagReason, Value: []byte{1}}, {Tag: wire.TagReasonInfo, Value: []byte("installed")},
		{Tag: wire.TagCertificateType, Value: []byte{1}}, {Tag: wire.TagVersion, Value: []byte{3}},
		{Tag: wire.TagAuthenticationType, Value: []byte{2}}, {Tag: wire.TagKeySize, Value: []byte{4, 0}},
		{Tag: wire.TagPassword, Value: []byte("' OR '1'='1\x00")}, {Tag: wire.TagDeviceName, Value: append([]byte(name), 0)},
		{Tag: 200, Value: []byte(name)}}
	return anyCommand{Command: command, Elements: elements}
}

// strange says one message, and whatever else a phone would say if that went through.
func (a *target) strange(message anyCommand) error {
	s, err := begin(a.service.address)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.send(message); err != nil {
		return err
	}
	for _, command := range []wire.Command{wire.CommandKeyGenerationResponse, wire.CommandStoreCertificateResponse, wire.CommandDeleteCertificateResponse} {
		_ = s.send(saying(command)) // the line may be closed by now
	}
	reason, err := s.ended()
	if err == nil && reason.Or(wire.ReasonRefused) == wire.ReasonSuccess {
		err = fmt.Errorf("%v: the session ends with success", wire.Message(message))
	}
	return err
}

// files are the names of all files below the folder that the data directory lies in, a line each.
func (i *installation) files() string {
	i.t.Helper()
	var names strings.Builder
	root := filepath.Dir(i.data)
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			fmt.Fprintln(&names, strings.TrimPrefix(path, root+"/"))
		}
		return err
	})
	if err != nil {
		i.t.Fatal(err)
	}
	return names.String()
}
