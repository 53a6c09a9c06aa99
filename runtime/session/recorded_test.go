package session_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

type recording struct {
	Case     string
	Messages []struct{ From, Hex string }
}

// The phone's side of each recorded session gets the server's side of it, byte by byte, save the session ID
// and the certificate.
func TestRecordedSessions(t *testing.T) {
	file, err := os.Open("../../testdata/wire/capf-sessions.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	settings := usual()
	settings.AnnounceAuthenticationType = true // as the recordings have it
	s := newService(t, settings)
	s.pendingByString("SEP0011223344AA", "4711")
	s.pending("SEP0011223344AB", capf.OperationDelete, capf.RSA1024)
	s.pendingByString("SEP0011223344AC", "1234")
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	cases := 0
	for ; lines.Scan(); cases++ {
		var one recording
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		t.Run(one.Case, func(t *testing.T) { replay(t, s, one) })
	}
	if cases != 5 || lines.Err() != nil {
		t.Errorf("%d recordings, %v", cases, lines.Err())
	}
}

func replay(t *testing.T, s *service, one recording) {
	conn, err := tls.Dial("tcp", s.address, &tls.Config{InsecureSkipVerify: true}) // the test is about the messages
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	id := uint32(0)
	for i, message := range one.Messages {
		recorded, err := hex.DecodeString(message.Hex)
		if err != nil {
			t.Fatal(err)
		}
		if message.From == "phone" {
			binary.BigEndian.PutUint32(recorded[2:], id)
			if _, err := conn.Write(recorded); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := wire.ReadMessage(conn, wire.MaxElements)
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if i == 0 {
			id = got.SessionID
		}
		if id == 0 || got.SessionID != id {
			t.Errorf("message %d: session ID %d, want %d", i, got.SessionID, id)
		}
		got.SessionID = binary.BigEndian.Uint32(recorded[2:])
		compare(t, got, recorded)
	}
}

// compare holds a message against the recorded one; of a certificate only that there is one.
func compare(t *testing.T, got wire.Message, recorded []byte) {
	t.Helper()
	want, err := wire.Decode(recorded)
	if err != nil {
		t.Fatal(err)
	}
	if want.Command == wire.CommandStoreCertificateRequest {
		view, _, err := wire.Read[wire.StoreCertificateRequest](got)
		if err != nil || len(view.Certificate) == 0 || len(got.Elements) != len(want.Elements) || got.Elements[0].Tag != want.Elements[0].Tag {
			t.Errorf("got %v, want %v; %v", got, want, err)
		}
		return
	}
	if encoded := mustEncode(t, got); !bytes.Equal(encoded, recorded) {
		t.Errorf("got  %x\nwant %x", encoded, recorded)
	}
}
