package wire

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

// recordedMessage is one message of testdata/wire/capf-sessions.jsonl.
type recordedMessage struct {
	session string
	from    string
	bytes   []byte
}

// recorded reads all messages of all recorded sessions.
func recorded(t testing.TB) []recordedMessage {
	t.Helper()
	file, err := os.Open("../../testdata/wire/capf-sessions.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var messages []recordedMessage
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		messages = append(messages, recordedLine(t, lines.Bytes())...)
	}
	if err := lines.Err(); err != nil || len(messages) == 0 {
		t.Fatalf("%d recorded messages, error %v", len(messages), err)
	}
	return messages
}

func recordedLine(t testing.TB, line []byte) []recordedMessage {
	t.Helper()
	var session struct {
		Case     string
		Messages []struct{ From, Hex string }
	}
	if err := json.Unmarshal(line, &session); err != nil {
		t.Fatal(err)
	}
	var messages []recordedMessage
	for _, message := range session.Messages {
		b, err := hex.DecodeString(message.Hex)
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, recordedMessage{session.Case, message.From, b})
	}
	return messages
}

// view is what all typed views can do.
type view interface {
	Message(sessionID uint32) Message
}

// decodeView reads the view that belongs to the command of a message, nil where there is none.
func decodeView(m Message) (view, []Element, error) {
	switch m.Command {
	case CommandAuthenticationRequest:
		return asView(Read[AuthenticationRequest](m))
	case CommandAuthenticationResponse:
		return asView(Read[AuthenticationResponse](m))
	case CommandKeyGenerationRequest:
		return asView(Read[KeyGenerationRequest](m))
	case CommandKeyGenerationResponse:
		return asView(Read[KeyGenerationResponse](m))
	case CommandRequestInProgress:
		return asView(Read[RequestInProgress](m))
	case CommandStoreCertificateRequest:
		return asView(Read[StoreCertificateRequest](m))
	case CommandStoreCertificateResponse:
		return asView(Read[StoreCertificateResponse](m))
	case CommandFetchCertificateRequest:
		return asView(Read[FetchCertificateRequest](m))
	case CommandFetchCertificateResponse:
		return asView(Read[FetchCertificateResponse](m))
	case CommandDeleteCertificateRequest:
		return asView(Read[DeleteCertificateRequest](m))
	case CommandDeleteCertificateResponse:
		return asView(Read[DeleteCertificateResponse](m))
	case CommandEndSession:
		return asView(Read[EndSession](m))
	}
	return nil, nil, nil
}

func asView[V view](v V, skipped []Element, err error) (view, []Element, error) {
	return v, skipped, err
}

func TestRecordedMessagesReencode(t *testing.T) {
	for _, recording := range recorded(t) {
		m, err := Decode(recording.bytes)
		if err != nil {
			t.Errorf("%s: %x: %v", recording.session, recording.bytes, err)
			continue
		}
		if b, err := Encode(m); err != nil || !bytes.Equal(b, recording.bytes) {
			t.Errorf("%s: %v: encodes to %x (%v), recorded %x", recording.session, m, b, err, recording.bytes)
		}
	}
}

func TestRecordedViewsReencode(t *testing.T) {
	for _, recording := range recorded(t) {
		m, err := Decode(recording.bytes)
		if err != nil {
			t.Fatal(err)
		}
		v, skipped, err := decodeView(m)
		if v == nil || err != nil || skipped != nil {
			t.Errorf("%s: %v: view %v, skipped %v, error %v", recording.session, m, v, skipped, err)
			continue
		}
		if b, err := Encode(v.Message(m.SessionID)); err != nil || !bytes.Equal(b, recording.bytes) {
			t.Errorf("%s: the view of %v encodes to %x (%v)", recording.session, m, b, err)
		}
	}
}

// Every beginning of a message is an error; every message with one byte changed is an error or a message
// that encodes to those bytes. Neither panics, nor do the views.
func TestRecordedMessagesDamaged(t *testing.T) {
	for _, recording := range recorded(t) {
		for length := range recording.bytes {
			if m, err := Decode(recording.bytes[:length]); err == nil {
				t.Errorf("%s: the first %d of %d bytes decode to %v", recording.session, length, len(recording.bytes), m)
			}
			damaged := bytes.Clone(recording.bytes)
			for change := 1; change < 256; change <<= 1 {
				damaged[length] = recording.bytes[length] ^ byte(change)
				checkReencodes(t, damaged)
			}
		}
	}
}

// checkReencodes holds that what decodes encodes to the same bytes, and that what a view makes of it is
// read again as the same.
func checkReencodes(t *testing.T, b []byte) {
	t.Helper()
	m, err := Decode(b)
	if err != nil {
		return
	}
	if again, err := Encode(m); err != nil || !bytes.Equal(again, b) {
		t.Fatalf("%x encodes to %x (%v)", b, again, err)
	}
	_ = Describe(m)
	v, _, err := decodeView(m)
	if v == nil || err != nil {
		return
	}
	first, err := Encode(v.Message(m.SessionID))
	if err != nil {
		t.Fatalf("the view of %x does not encode: %v", b, err)
	}
	v, skipped, err := decodeView(v.Message(m.SessionID))
	if err != nil || skipped != nil {
		t.Fatalf("the view of %x is not read again: skipped %v, error %v", b, skipped, err)
	}
	if second, err := Encode(v.Message(m.SessionID)); err != nil || !bytes.Equal(first, second) {
		t.Fatalf("the view of %x encodes to %x, then to %x (%v)", b, first, second, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, recording := range recorded(f) {
		f.Add(recording.bytes)
	}
	for _, v := range sampleViews() {
		b, err := Encode(v.Message(1))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		checkReencodes(t, b)
		m, err := ReadMessage(bytes.NewReader(b), MaxElements)
		if err != nil {
			return
		}
		if again, err := Encode(m); err != nil || !bytes.HasPrefix(b, again) {
			t.Fatalf("%x read from a stream encodes to %x (%v)", b, again, err)
		}
	})
}
