package phone

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// recording is one line of testdata/wire/capf-sessions.jsonl.
type recording struct {
	Case     string
	Messages []struct{ From, Hex string }
}

func recordings(t *testing.T) []recording {
	t.Helper()
	file, err := os.Open("../../testdata/wire/capf-sessions.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var all []recording
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one recording
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// replay plays the server's side, and holds the phone's messages against the recording byte by byte.
func (r recording) replay(c *call) error {
	for i, message := range r.Messages {
		recorded, err := hex.DecodeString(message.Hex)
		if err != nil {
			return err
		}
		if message.From == "server" {
			if _, err := c.Write(recorded); err != nil {
				return err
			}
			continue
		}
		got := make([]byte, len(recorded))
		if _, err := io.ReadFull(c, got); err != nil {
			return err
		}
		if !bytes.Equal(got, recorded) {
			return fmt.Errorf("message %d is %x, recorded %x", i+1, got, recorded)
		}
	}
	return nil
}

// recordedKey has the public key of the recording; its private key is that of a phone far away.
type recordedKey struct{ public crypto.PublicKey }

func (k recordedKey) Public() crypto.PublicKey { return k.public }

func (recordedKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the private key was never recorded")
}

func (r recording) key(context.Context, string, capf.KeySize) (crypto.Signer, error) {
	b, err := hex.DecodeString(r.Messages[4].Hex)
	if err != nil {
		return nil, err
	}
	m, err := wire.Decode(b)
	if err != nil {
		return nil, err
	}
	public, err := x509.ParsePKIXPublicKey(m.Elements[0].Value)
	return recordedKey{public}, err
}

func TestRecordedSessions(t *testing.T) {
	type expected struct {
		device, digits string
		operation      capf.Operation
		reason         wire.Reason
		succeeds       bool
	}
	want := map[string]expected{
		"install-rsa1024-authentication-string": {"SEP0011223344AA", "4711", capf.OperationInstall, wire.ReasonSuccess, true},
		"delete-lsc":                            {"SEP0011223344AB", "", capf.OperationDelete, wire.ReasonSuccess, true},
		"no-operation":                          {"SEP0011223344AB", "", capf.OperationNone, wire.ReasonNoAction, false},
		"unknown-device":                        {"SEPFFFFFFFFFFFF", "", capf.OperationNone, wire.ReasonUnknownDevice, false},
		"wrong-authentication-string":           {"SEP0011223344AC", "9999", capf.OperationNone, wire.ReasonRefused, false},
	}
	all := recordings(t)
	if len(all) != len(want) {
		t.Errorf("%d recordings, %d expected", len(all), len(want))
	}
	for _, session := range all {
		t.Run(session.Case, func(t *testing.T) {
			want := want[session.Case]
			config := configOf(serve(t, session.replay))
			config.Device, config.Keys = want.device, session.key
			if want.digits != "" {
				config.Mode, config.AuthenticationString = capf.AuthByString, digits(t, want.digits)
			}
			phone := newPhone(t, config)
			outcome := phone.Run(t.Context())
			if outcome.Operation != want.operation || outcome.Reason != wire.Some(want.reason) || (outcome.Err == nil) != want.succeeds {
				t.Errorf("operation %s, reason %v, error %v", outcome.Operation, outcome.Reason, outcome.Err)
			}
			ended, is := errors.AsType[*EndError](outcome.Err)
			if is == want.succeeds || is && ended.Reason != want.reason {
				t.Errorf("error %v", outcome.Err)
			}
			installed := want.operation == capf.OperationInstall
			if lsc := keptLSC(t, phone.Flash()); (lsc != nil) != installed || (outcome.Certificate != nil) != installed {
				t.Errorf("LSC in flash %v, certificate %v", lsc, outcome.Certificate)
			}
		})
	}
}
