package wire

import (
	"bytes"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var compareSecrets = cmp.Comparer(func(a, b Secret) bool {
	return a.Present() == b.Present() && bytes.Equal(a.Reveal(), b.Reveal())
})

// sampleViews has each view with all its elements, and with as few as it may have.
func sampleViews() []view {
	certificate := []byte{0x30, 0x03, 0x02, 0x01, 0x01}
	proof := SHA2SignedData{Hash: HashSHA512, Signature: NewSecret([]byte("signature"))}
	sudi := SUDIData{Certificate: certificate, SHA1: NewSecret([]byte("one")), SHA512: NewSecret([]byte("512"))}
	return []view{
		AuthenticationRequest{}, AuthenticationRequest{Version: Some(uint8(Version3))},
		AuthenticationRequest{Some(uint8(Version3)), Some(AuthenticationMIC)},
		AuthenticationResponse{DeviceName: "SEP001122334455"},
		AuthenticationResponse{Reason: Some(ReasonSuccess), Version: Some(uint8(Version2)), Password: NewSecret(nil), DeviceName: "CSFALICE"},
		AuthenticationResponse{Reason: Some(ReasonSuccess), Version: Some(uint8(Version3)), Password: NewSecret([]byte("0042")),
			DeviceName: "SEP001122334455", Certificate: certificate, SignedData: NewSecret([]byte("proof")),
			SUDIData: sudi.Encode(), SHA2SignedData: proof.Encode()},
		KeyGenerationRequest{}, RSAKeyRequest(Version2, 1024), RSAKeyRequest(Version3, 4096),
		KeyGenerationRequest{KeyType: Some(KeyEC), Curve: Some(CurveP384)},
		KeyGenerationResponse{PublicKey: []byte{0x30}}, KeyGenerationResponse{Reason: Some(ReasonRefused)},
		RequestInProgress{},
		StoreCertificateRequest{Certificate: certificate},
		StoreCertificateRequest{Some(CertificateLSC), certificate},
		StoreCertificateResponse{}, StoreCertificateResponse{Some(ReasonSuccess)},
		FetchCertificateRequest{}, FetchCertificateRequest{Some(CertificateMIC)},
		FetchCertificateResponse{}, FetchCertificateResponse{Some(ReasonSuccess), certificate},
		DeleteCertificateRequest{}, DeleteCertificateRequest{Some(CertificateLSC)},
		DeleteCertificateResponse{}, DeleteCertificateResponse{Some(ReasonSuccess)},
		EndSession{}, EndSession{Some(ReasonNoAction)},
	}
}

func TestViewsRoundTrip(t *testing.T) {
	for _, want := range sampleViews() {
		m := want.Message(0xfeedbeef)
		if m.SessionID != 0xfeedbeef {
			t.Errorf("%v: session %x", m, m.SessionID)
		}
		got, skipped, err := decodeView(m)
		if err != nil || skipped != nil {
			t.Errorf("%v: skipped %v, error %v", m, skipped, err)
			continue
		}
		if difference := cmp.Diff(want, got, compareSecrets); difference != "" {
			t.Errorf("%v: %s", m, difference)
		}
	}
}

func TestRecordedInstallation(t *testing.T) {
	var messages []Message
	for _, recording := range recorded(t) {
		if recording.session == "install-rsa1024-authentication-string" {
			m, err := Decode(recording.bytes)
			if err != nil {
				t.Fatal(err)
			}
			messages = append(messages, m)
		}
	}
	publicKey := messages[4].Elements[0].Value
	certificate := messages[5].Elements[1].Value[5:]
	want := []view{
		AuthenticationRequest{Some(uint8(3)), Some(AuthenticationNone)},
		AuthenticationResponse{Reason: Some(ReasonSuccess), Version: Some(uint8(3)), Password: NewSecret([]byte("4711")),
			DeviceName: "SEP0011223344AA"},
		KeyGenerationRequest{KeySize: Some(uint16(1024)), KeyType: Some(KeyRSA)},
		RequestInProgress{},
		KeyGenerationResponse{PublicKey: publicKey},
		StoreCertificateRequest{Some(CertificateLSC), certificate},
		StoreCertificateResponse{Some(ReasonSuccess)},
		EndSession{Some(ReasonSuccess)},
	}
	for i, m := range messages {
		got, _, err := decodeView(m)
		if err != nil {
			t.Fatal(err)
		}
		if difference := cmp.Diff(want[i], got, compareSecrets); difference != "" {
			t.Errorf("message %d: %s", i, difference)
		}
	}
	lsc, err := x509.ParseCertificate(certificate)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(lsc.RawSubjectPublicKeyInfo, publicKey) || lsc.Subject.CommonName != "SEP0011223344AA" {
		t.Errorf("the certificate is for %v with another key than the phone's", lsc.Subject)
	}
}

// The sizes of an IOS server's session with a 79xx phone, from capf-protocol.md.
func TestSizesOfIOSTrace(t *testing.T) {
	tests := []struct {
		v    view
		size int
	}{
		{AuthenticationRequest{Version: Some(uint8(Version3))}, 12},
		{AuthenticationResponse{Reason: Some(ReasonSuccess), Version: Some(uint8(Version3)), DeviceName: "SEP001122334455"}, 35},
		{RSAKeyRequest(Version2, 1024), 13},
		{RequestInProgress{}, 8},
		{DeleteCertificateRequest{}, 8},
		{DeleteCertificateResponse{Some(ReasonSuccess)}, 12},
		{EndSession{Some(ReasonSuccess)}, 12},
	}
	for _, test := range tests {
		if b, err := Encode(test.v.Message(1)); err != nil || len(b) != test.size {
			t.Errorf("%v has %d bytes (%v), in the trace %d", test.v.Message(1), len(b), err, test.size)
		}
	}
}

func TestViewsRefuse(t *testing.T) {
	name := Element{TagDeviceName, []byte("SEP001122334455\x00")}
	response := func(elements ...Element) Message {
		return Message{Command: CommandAuthenticationResponse, Elements: append(elements, name)}
	}
	named := func(value string) Message {
		return Message{Command: CommandAuthenticationResponse, Elements: []Element{{TagDeviceName, []byte(value)}}}
	}
	store := func(certificate string) Message {
		return Message{Command: CommandStoreCertificateRequest, Elements: []Element{{TagCertificate, []byte(certificate)}}}
	}
	keys := func(elements ...Element) Message {
		return Message{Command: CommandKeyGenerationResponse, Elements: elements}
	}
	tests := []struct {
		name string
		m    Message
		text string
	}{
		{"repeated", response(name), "authentication response, device name: came twice"},
		{"repeated, of no use here", response(Element{Tag: TagCurve}, Element{Tag: TagCurve}), "authentication response, curve: came twice"},
		{"empty byte", response(Element{Tag: TagReason}), "authentication response, reason: 0 bytes, not 1"},
		{"wide byte", response(Element{TagVersion, []byte{0, 3}}), "authentication response, version: 2 bytes, not 1"},
		{"no name", Message{Command: CommandAuthenticationResponse}, "authentication response, device name: missing"},
		{"empty name", named("\x00SEP001122334455"), "authentication response, device name: missing"},
		{"long name", named(strings.Repeat("A", 65)), "authentication response, device name: 65 characters, at most 64 allowed"},
		{"line feed in name", named("SEP\n1122"), "authentication response, device name: character 4 is 0x0a, not printable ASCII"},
		{"escape in name", named("\x1b[31m"), "authentication response, device name: character 1 is 0x1b, not printable ASCII"},
		{"UTF-8 in name", named("CSF\u00c4"), "authentication response, device name: character 4 is 0xc3, not printable ASCII"},
		{"long password", response(Element{TagPassword, bytes.Repeat([]byte("1"), 65)}), "authentication response, password: 65 characters, at most 64 allowed"},
		{"key size", Message{Command: CommandKeyGenerationRequest, Elements: []Element{{TagKeySize, []byte{4}}}},
			"key generation request, key size: 1 bytes, not 2"},
		{"neither key nor reason", keys(), "key generation response, public key: missing, and no reason given"},
		{"empty key", keys(Element{Tag: TagPublicKey}), "key generation response, public key: empty"},
		{"no certificate", Message{Command: CommandStoreCertificateRequest}, "store certificate request, certificate: missing"},
		{"empty certificate", store("\x01\x00\x02\x00\x01"), "store certificate request, certificate: 5 bytes hold no certificate"},
		{"inner tag", store("\x02\x00\x03\x00\x010"), "store certificate request, certificate: inner element 2, not 1"},
		{"inner length", store("\x01\x00\x04\x00\x010"), "store certificate request, certificate: inner element of 4 bytes where 3 are left"},
		{"inner mark", store("\x01\x00\x03\x00\x020"), "store certificate request, certificate: certificate marked 0002, not 0001"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v, skipped, err := decodeView(test.m)
			if _, malformed := errors.AsType[*MalformedError](err); !malformed || err.Error() != test.text || !IsProtocol(err) {
				t.Errorf("error %v, want %q", err, test.text)
			}
			if empty, _, _ := decodeView(Message{Command: test.m.Command}); skipped != nil || empty != nil && !cmp.Equal(v, empty, compareSecrets) {
				t.Errorf("a partial result beside the error: %v, %v", v, skipped)
			}
		})
	}
}

func TestViewOfAnotherCommand(t *testing.T) {
	_, _, err := Read[AuthenticationResponse](EndSession{}.Message(1))
	if _, is := errors.AsType[*CommandError](err); !is || !IsProtocol(err) ||
		err.Error() != "end session came in place of authentication response" {
		t.Errorf("error %v", err)
	}
}

func TestSkippedElementsAreReported(t *testing.T) {
	m := EndSession{Some(ReasonSuccess)}.Message(1)
	more := []Element{{99, []byte("firmware")}, {99, []byte("adds")}, {TagReasonInfo, []byte("bye")}}
	m.Elements = append(more[:2:2], m.Elements[0], more[2])
	end, skipped, err := Read[EndSession](m)
	if err != nil || end.Reason != Some(ReasonSuccess) {
		t.Errorf("%v, error %v", end, err)
	}
	if difference := cmp.Diff(more, skipped); difference != "" {
		t.Error(difference)
	}
}

// Of a text the bytes before the first NUL count, with or without one.
func TestTexts(t *testing.T) {
	for _, value := range []string{"4711\x00", "4711", "4711\x00\x00\x00", "4711\x00rest"} {
		m := Message{Command: CommandAuthenticationResponse, Elements: []Element{
			{TagPassword, []byte(value)}, {TagDeviceName, []byte("SEP" + value)}}}
		got, _, err := Read[AuthenticationResponse](m)
		if err != nil || !got.Password.Equal("4711") || got.DeviceName != "SEP4711" {
			t.Errorf("%q: device %q, error %v", value, got.DeviceName, err)
		}
	}
}

func TestECKeyRequestNeedsVersion3(t *testing.T) {
	if request, err := ECKeyRequest(Version2, CurveP256); err == nil {
		t.Errorf("version 2 gets %v", request)
	}
	request, err := ECKeyRequest(Version3, CurveP384)
	if err != nil || request != (KeyGenerationRequest{KeyType: Some(KeyEC), Curve: Some(CurveP384)}) {
		t.Errorf("%v, error %v", request, err)
	}
}

func TestOptional(t *testing.T) {
	if got := Some(ReasonNoAction).Or(ReasonRefused); got != ReasonNoAction {
		t.Errorf("present: %v", got)
	}
	if got := (Optional[Reason]{Value: ReasonSuccess}).Or(ReasonRefused); got != ReasonRefused {
		t.Errorf("missing: %v", got)
	}
}
