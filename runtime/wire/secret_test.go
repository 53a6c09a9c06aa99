package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// No textual form of anything that holds a secret shows it.
func TestSecretsStayHidden(t *testing.T) {
	const secret = "471108154711"
	type hidden struct{ inner Secret }
	response := AuthenticationResponse{DeviceName: "SEP001122334455", Password: NewSecret([]byte(secret)),
		SignedData: NewSecret([]byte(secret)), SUDIData: NewSecret([]byte(secret)), SHA2SignedData: NewSecret([]byte(secret))}
	m := response.Message(1)
	values := []any{NewSecret([]byte(secret)), &response, response, hidden{NewSecret([]byte(secret))}, m, &m,
		m.Elements[0], m.Elements, []Secret{response.Password}, map[string]Secret{"a": response.SUDIData}}
	leaks := []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), strings.Trim(fmt.Sprint([]byte(secret)), "[]"),
		strings.Trim(fmt.Sprintf("%#v", []byte(secret)), "[]byte{}"), "NDcxMTA4MTU0NzEx"}
	for _, value := range values {
		var texts []string
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%o", "%t"} {
			texts = append(texts, fmt.Sprintf(verb, value))
		}
		var logged bytes.Buffer
		slog.New(slog.NewTextHandler(&logged, nil)).Info("text", "value", value)
		texts = append(texts, logged.String(), fmt.Sprint(value))
		for _, text := range texts {
			for _, leak := range leaks {
				if strings.Contains(text, leak) {
					t.Errorf("%T shows the secret: %s", value, text)
				}
			}
		}
	}
}

func TestSecretInJSON(t *testing.T) {
	b, err := json.Marshal(AuthenticationResponse{Password: NewSecret([]byte("geheim"))})
	if err != nil || bytes.Contains(b, []byte("geheim")) || !bytes.Contains(b, []byte(redacted)) {
		t.Errorf("%s, error %v", b, err)
	}
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("text", "message", AuthenticationResponse{Password: NewSecret([]byte("geheim"))}.Message(1),
		"secret", NewSecret([]byte("geheim")))
	if strings.Contains(logged.String(), "geheim") {
		t.Errorf("%s", logged.String())
	}
}

func TestSecret(t *testing.T) {
	given := []byte("geheim")
	secret := NewSecret(given)
	given[0] = 'x'
	if !secret.Equal("geheim") || secret.Equal("xeheim") || secret.Equal("geheim0") || secret.Equal("") {
		t.Errorf("%q is compared wrongly", secret.Reveal())
	}
	if empty := NewSecret(nil); !empty.Present() || !empty.Equal("") || empty.Reveal() == nil {
		t.Error("an empty secret is not there")
	}
	if missing := (Secret{}); missing.Present() || missing.Equal("") || missing.Reveal() != nil {
		t.Error("a missing secret is there")
	}
}

func TestDescribe(t *testing.T) {
	certificate := make([]byte, 700)
	tests := []struct {
		m    Message
		want string
	}{
		{RequestInProgress{}.Message(7), "request in progress, session 7"},
		{AuthenticationRequest{Some(uint8(3)), Some(AuthenticationNullString)}.Message(7),
			"authentication request, session 7, version 3, authentication type 2 (null string)"},
		{AuthenticationResponse{Reason: Some(ReasonSuccess), Password: NewSecret([]byte("geheim")), DeviceName: "SEP\x1b[31m",
			Certificate: certificate, SignedData: NewSecret(nil)}.Message(7),
			`authentication response, session 7, reason 1 (success), password [secret], device name "SEP\x1b[31m", certificate of 705 bytes, signed data [secret]`},
		{AuthenticationResponse{Password: NewSecret(nil), DeviceName: strings.Repeat("A", 70)}.Message(7),
			`authentication response, session 7, password empty, device name "` + strings.Repeat("A", 64) + `" and 6 bytes more`},
		{RSAKeyRequest(Version3, 2048).Message(7), "key generation request, session 7, key size 2048, key type 0 (RSA)"},
		{KeyGenerationRequest{KeyType: Some(KeyEC), Curve: Some(CurveP521)}.Message(7),
			"key generation request, session 7, key type 1 (EC), curve 2 (P-521)"},
		{StoreCertificateRequest{Some(CertificateLSC), certificate}.Message(7),
			"store certificate request, session 7, certificate type 1 (LSC), certificate of 705 bytes"},
		{EndSession{Some(Reason(5))}.Message(7), "end session, session 7, reason 5 (reason 5)"},
		{Message{Command: 99, Elements: []Element{{Tag: TagReason}, {TagKeySize, []byte{1, 2, 3}}, {77, []byte("geheim")}}},
			"command 99, session 0, reason of 0 bytes, key size of 3 bytes, element 77 of 6 bytes"},
	}
	for _, test := range tests {
		if got := Describe(test.m); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

func TestProofs(t *testing.T) {
	want := SUDIData{Certificate: []byte{0x30}, SHA1: NewSecret([]byte("one")), SHA512: NewSecret([]byte("five"))}
	got, err := DecodeSUDIData(want.Encode())
	if err != nil || !cmp.Equal(want, got, compareSecrets) {
		t.Errorf("%v, error %v", got, err)
	}
	swapped := "\x03\x00\x04five\x00\x00\x010\x01\x00\x03one"
	if got, err := DecodeSUDIData(NewSecret([]byte(swapped))); err != nil || !cmp.Equal(want, got, compareSecrets) {
		t.Errorf("in another order: %v, error %v", got, err)
	}
	signed := SHA2SignedData{Hash: HashSHA512, Signature: NewSecret([]byte("signature"))}
	if string(signed.Encode().Reveal()) != "\x03\x00\x09signature" {
		t.Errorf("SHA-2 signed data encode to %x", signed.Encode().Reveal())
	}
	if got, err := DecodeSHA2SignedData(signed.Encode()); err != nil || !cmp.Equal(signed, got, compareSecrets) {
		t.Errorf("%v, error %v", got, err)
	}
}

func TestProofsRefuse(t *testing.T) {
	sudi := func(value string) error { _, err := DecodeSUDIData(NewSecret([]byte(value))); return err }
	sha2 := func(value string) error { _, err := DecodeSHA2SignedData(NewSecret([]byte(value))); return err }
	tests := []struct {
		name string
		err  error
		text string
	}{
		{"no SUDI data", sudi(""), "authentication response, SUDI data: 0 records, not 3"},
		{"SUDI record cut", sudi("\x00\x00"), "authentication response, SUDI data: record without its length"},
		{"SUDI record too long", sudi("\x00\x00\x020"), "authentication response, SUDI data: record of 2 bytes where 1 are left"},
		{"SUDI record twice", sudi("\x00\x00\x00\x00\x00\x00"), "authentication response, SUDI data: record 0 came twice"},
		{"SUDI record not known", sudi("\x02\x00\x00"), "authentication response, SUDI data: record 2 is not known"},
		{"no SHA-2 signed data", sha2(""), "authentication response, SHA-2 signed data: record without its length"},
		{"after the signature", sha2("\x03\x00\x00a"), "authentication response, SHA-2 signed data: 1 bytes after the signature"},
	}
	for _, test := range tests {
		if _, malformed := errors.AsType[*MalformedError](test.err); !malformed || test.err.Error() != test.text {
			t.Errorf("%s: error %v, want %q", test.name, test.err, test.text)
		}
	}
}

func FuzzProofs(f *testing.F) {
	f.Add([]byte("\x00\x00\x010\x01\x00\x03one\x03\x00\x04five"))
	f.Add([]byte("\x03\x00\x09signature"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if data, err := DecodeSHA2SignedData(NewSecret(b)); err == nil && !bytes.Equal(data.Encode().Reveal(), b) {
			t.Errorf("%x encodes to %x", b, data.Encode().Reveal())
		}
		data, err := DecodeSUDIData(NewSecret(b))
		if err != nil {
			return
		}
		// The order of the records is not kept, so the bytes may differ; the content may not.
		again, err := DecodeSUDIData(data.Encode())
		if err != nil || len(data.Encode().Reveal()) != len(b) || !cmp.Equal(data, again, compareSecrets) {
			t.Errorf("%x is read again with %v", b, err)
		}
	})
}
