package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestDecode(t *testing.T) {
	tests := []struct {
		name  string
		bytes string
		want  Message
	}{
		{"no elements", "\x55\x11\x00\x00\x00\x04\x00\x00", Message{Command: CommandRequestInProgress, SessionID: 4}},
		{"empty element", "\x55\x0d\x00\x00\x00\x04\x00\x03\x63\x00\x00",
			Message{CommandDeleteCertificateRequest, 4, []Element{{Tag: 0x63, Value: []byte{}}}}},
		{"unknown command", "\x55\xff\xff\xff\xff\xff\x00\x00", Message{Command: 255, SessionID: 0xffffffff}},
		{"repeated element, order kept", "\x55\x0f\x01\x02\x03\x04\x00\x0c\x63\x00\x01\x41\x01\x00\x01\x01\x01\x00\x01\x07",
			Message{CommandEndSession, 0x01020304, []Element{{0x63, []byte("A")}, {TagReason, []byte{1}}, {TagReason, []byte{7}}}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := Decode([]byte(test.bytes))
			if err != nil {
				t.Fatal(err)
			}
			if got.Command != test.want.Command || got.SessionID != test.want.SessionID {
				t.Errorf("got %v, want %v", got, test.want)
			}
			if difference := cmp.Diff(test.want.Elements, got.Elements); difference != "" {
				t.Error(difference)
			}
			checkReencodes(t, []byte(test.bytes))
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	many := "\x55\x0f\x00\x00\x00\x01\x00\xc3" + strings.Repeat("\x63\x00\x00", MaxElementCount+1)
	tests := []struct {
		name, bytes string
		want        any
		text        string
	}{
		{"nothing", "", new(*TruncatedError), "message ends after 0 of 8 bytes"},
		{"header cut", "\x55\x0f\x00\x00\x00\x01\x00", new(*TruncatedError), "message ends after 7 of 8 bytes"},
		{"elements cut", "\x55\x0f\x00\x00\x00\x01\x00\x04\x01\x00\x01", new(*TruncatedError), "message ends after 11 of 12 bytes"},
		{"magic", "GET / HTTP/1.1", new(*MagicError), "message begins with 0x47, not 0x55: not a CAPF message"},
		{"bytes after it", "\x55\x0f\x00\x00\x00\x01\x00\x00\x01", new(*MalformedError), "end session, byte 8: 1 bytes after the message"},
		{"element without length", "\x55\x0f\x00\x00\x00\x01\x00\x02\x01\x00", new(*MalformedError), "end session, byte 8: element without its length"},
		{"element too long", "\x55\x0f\x00\x00\x00\x01\x00\x04\x01\x00\x02\x01", new(*MalformedError),
			"end session, byte 8, reason: value of 2 bytes where 1 are left"},
		{"too many elements", many, new(*LengthError), "elements of a message: 65, at most 64 allowed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, err := Decode([]byte(test.bytes))
			if err == nil || err.Error() != test.text || !errors.As(err, test.want) || !IsProtocol(err) {
				t.Errorf("error %v (%T), want %q", err, err, test.text)
			}
			if m.Command != 0 || m.Elements != nil {
				t.Errorf("a partial message beside the error: %v", m)
			}
		})
	}
}

func TestEncodeRefuses(t *testing.T) {
	tests := []struct {
		name string
		m    Message
		text string
	}{
		{"element too long", Message{Elements: []Element{{Tag: 4, Value: make([]byte, 65536)}}},
			"bytes of elements: 65539, at most 65535 allowed"},
		{"certificate too long", StoreCertificateRequest{Certificate: make([]byte, 65534)}.Message(1),
			"bytes of elements: 65542, at most 65535 allowed"},
		{"too many", Message{Elements: make([]Element, 65)}, "elements of a message: 65, at most 64 allowed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b, err := Encode(test.m)
			if b != nil || err == nil || err.Error() != test.text {
				t.Errorf("%d bytes, error %v, want %q", len(b), err, test.text)
			}
		})
	}
}

func TestReadMessage(t *testing.T) {
	for _, recording := range recorded(t) {
		two := append(bytes.Clone(recording.bytes), recording.bytes...)
		for name, r := range map[string]io.Reader{"at once": bytes.NewReader(two),
			"byte by byte": iotest.OneByteReader(bytes.NewReader(two))} {
			for range 2 {
				m, err := ReadMessage(r, MaxElements)
				if err != nil {
					t.Fatalf("%s: %s: %v", recording.session, name, err)
				}
				if b, err := Encode(m); err != nil || !bytes.Equal(b, recording.bytes) {
					t.Errorf("%s: %s: %x (%v), want %x", recording.session, name, b, err, recording.bytes)
				}
			}
			if m, err := ReadMessage(r, MaxElements); err != io.EOF {
				t.Errorf("after the last: %v, error %v, want EOF itself", m, err)
			}
		}
	}
}

func TestReadMessageRefuses(t *testing.T) {
	broken := errors.New("broken line")
	whole := "\x55\x0f\x00\x00\x00\x01\x00\x04\x01\x00\x01\x01"
	tests := []struct {
		name     string
		r        io.Reader
		max      int
		is       error
		protocol bool
		text     string
	}{
		{"end", strings.NewReader(""), MaxElements, io.EOF, false, "EOF"},
		{"end in header", strings.NewReader(whole[:3]), MaxElements, io.ErrUnexpectedEOF, false, "message ends after 3 of 8 bytes"},
		{"end after header", strings.NewReader(whole[:8]), MaxElements, io.ErrUnexpectedEOF, false, "message ends after 8 of 12 bytes"},
		{"end in elements", strings.NewReader(whole[:11]), MaxElements, io.ErrUnexpectedEOF, false, "message ends after 11 of 12 bytes"},
		{"broken", io.MultiReader(strings.NewReader(whole[:9]), iotest.ErrReader(broken)), MaxElements, broken, false,
			"reading a message, after 9 of 12 bytes: broken line"},
		{"longer than the caller takes", strings.NewReader(whole), 3, nil, true, "bytes of elements in end session: 4, at most 3 allowed"},
		{"longer than a record", strings.NewReader("\x55\x0f\x00\x00\x00\x01\xff\xff"), 1 << 30, nil, true,
			"bytes of elements in end session: 65535, at most 16376 allowed"},
		{"malformed", strings.NewReader("\x55\x0f\x00\x00\x00\x01\x00\x01\x01"), MaxElements, nil, true,
			"end session, byte 8: element without its length"},
		{"magic", strings.NewReader("\x16\x03\x01\x00\x00\x00\x00\x00"), MaxElements, nil, true,
			"message begins with 0x16, not 0x55: not a CAPF message"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, err := ReadMessage(test.r, test.max)
			if err == nil || err.Error() != test.text || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("error %v, want %q wrapping %v", err, test.text, test.is)
			}
			if IsProtocol(err) != test.protocol {
				t.Errorf("IsProtocol(%v) is %v", err, !test.protocol)
			}
			if m.Command != 0 || m.Elements != nil {
				t.Errorf("a partial message beside the error: %v", m)
			}
		})
	}
}

// A declared length alone must not cost memory: a refused message allocates its header and its error.
func TestReadMessageAllocatesWhatItKeeps(t *testing.T) {
	header := []byte("\x55\x04\x00\x00\x00\x01\xff\xff")
	const times = 1000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		if _, err := ReadMessage(bytes.NewReader(header), MaxElements); err == nil {
			t.Fatal("no error")
		}
	}
	runtime.ReadMemStats(&after)
	if size := (after.TotalAlloc - before.TotalAlloc) / times; size > 512 {
		t.Errorf("a refused message costs %d bytes", size)
	}
}

// writes counts the calls of Write.
type writes struct {
	bytes.Buffer
	calls int
	err   error
}

func (w *writes) Write(b []byte) (int, error) {
	w.calls++
	if w.err != nil {
		return 0, w.err
	}
	return w.Buffer.Write(b)
}

func TestWriteMessageIsOneWrite(t *testing.T) {
	for _, recording := range recorded(t) {
		m, err := Decode(recording.bytes)
		if err != nil {
			t.Fatal(err)
		}
		var w writes
		if err := WriteMessage(&w, m); err != nil || w.calls != 1 || !bytes.Equal(w.Bytes(), recording.bytes) {
			t.Errorf("%v: %d calls of Write, error %v", m, w.calls, err)
		}
	}
}

func TestWriteMessageRefuses(t *testing.T) {
	var w writes
	large := Message{Command: CommandStoreCertificateRequest, Elements: []Element{{TagCertificate, make([]byte, MaxElements-2)}}}
	want := "bytes of a message: 16385, at most 16384 allowed"
	if err := WriteMessage(&w, large); err == nil || err.Error() != want || w.calls != 0 {
		t.Errorf("error %v after %d calls of Write, want %q", err, w.calls, want)
	}
	if err := WriteMessage(&w, Message{Elements: make([]Element, MaxElementCount+1)}); err == nil || w.calls != 0 {
		t.Errorf("error %v after %d calls of Write", err, w.calls)
	}
	w.err = errors.New("broken line")
	if err := WriteMessage(&w, EndSession{}.Message(1)); !errors.Is(err, w.err) || err.Error() != "writing end session: broken line" {
		t.Errorf("error %v", err)
	}
}

func TestNames(t *testing.T) {
	for number := 1; number <= 23; number++ {
		if name := Command(number).String(); name == fmt.Sprintf("command %d", number) {
			t.Errorf("%s has no name", name)
		}
	}
	for tag := Tag(1); tag <= 20; tag++ {
		if known := tag != 14 && tag != 15; tag.Known() != known {
			t.Errorf("%v: known is %v", tag, tag.Known())
		}
	}
	names := map[fmt.Stringer]string{
		Command(0): "command 0", Command(24): "command 24", CommandEndSession: "end session",
		Tag(14): "element 14", Tag(255): "element 255", TagSUDIData: "SUDI data",
		ReasonNoAction: "no action", ReasonRefused: "refused or invalid", ReasonUnknownDevice: "unknown device", Reason(2): "reason 2",
		CertificateMIC: "MIC", CertificateType(0): "certificate type 0",
		AuthenticationNone: "none", AuthenticationType(5): "authentication type 5",
		KeyEC: "EC", KeyType(2): "key type 2", CurveP521: "P-521", Curve(3): "curve 3",
		HashSHA512: "SHA-512", HashAlgorithm(0): "hash algorithm 0",
	}
	for value, want := range names {
		if got := value.String(); got != want {
			t.Errorf("%T %d is called %q, want %q", value, value, got, want)
		}
	}
}
