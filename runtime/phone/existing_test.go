package phone

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// newIdentityOf is a certificate of that name with a new key.
func newIdentityOf(t *testing.T, name string, size capf.KeySize) *Identity {
	t.Helper()
	key, err := GenerateKey(t.Context(), "", size)
	if err != nil {
		t.Fatal(err)
	}
	return &Identity{Certificate: parse(t, issue(name, key.Public())), Key: key}
}

// answered has a phone call, and gives how it answered the authentication request; the server has nothing
// for it.
func answered(t *testing.T, change func(*Config)) wire.AuthenticationResponse {
	t.Helper()
	var answer wire.AuthenticationResponse
	config := configOf(serve(t, func(c *call) (err error) {
		if answer, err = c.authenticate(); err != nil {
			return err
		}
		return c.end(wire.ReasonNoAction)
	}))
	change(&config)
	if outcome := newPhone(t, config).Run(t.Context()); outcome.Reason != wire.Some(wire.ReasonNoAction) {
		t.Fatal(outcome.Err)
	}
	return answer
}

// digestIn is what a signature holds, or whether it is one of the digest for EC: computed here from the
// definition, so that what the phone makes is not held against the library that made it.
func digestIn(t *testing.T, public crypto.PublicKey, signature, digest []byte) error {
	t.Helper()
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(key, digest, signature) {
			return errors.New("no signature of the digest")
		}
	case *rsa.PublicKey:
		opened := new(big.Int).Exp(new(big.Int).SetBytes(signature), big.NewInt(int64(key.E)), key.N).FillBytes(make([]byte, key.Size()))
		padding := bytes.Repeat([]byte{0xff}, key.Size()-3-len(digest))
		want := append(append(append([]byte{0, 1}, padding...), 0), digest...)
		if !bytes.Equal(opened, want) {
			return fmt.Errorf("it opens to %x, want %x", opened, want)
		}
	}
	return nil
}

// The proofs are over name, NUL and DER; with RSA the padding stands around the bare digest.
func TestProofs(t *testing.T) {
	for _, size := range []capf.KeySize{capf.RSA512, capf.RSA1024, capf.RSA2048, capf.P256, capf.P384, capf.P521} {
		t.Run(string(size), func(t *testing.T) {
			lsc := newIdentityOf(t, testDevice, size)
			answer := answered(t, func(config *Config) {
				config.Mode, config.Flash = capf.AuthByLSC, NewMemoryFlash()
				giveLSC(t, config.Flash, lsc.Certificate.Raw, lsc.Key)
			})
			if !bytes.Equal(answer.Certificate, lsc.Certificate.Raw) || answer.SUDIData.Present() || !answer.Password.Equal("") {
				t.Errorf("%d bytes of certificate, SUDI data %v", len(answer.Certificate), answer.SUDIData.Present())
			}
			signed := testDevice + "\x00" + string(lsc.Certificate.Raw)
			sha1Sum, sha512Sum := sha1.Sum([]byte(signed)), sha512.Sum512([]byte(signed))
			if err := digestIn(t, lsc.Key.Public(), answer.SignedData.Reveal(), sha1Sum[:]); err != nil {
				t.Errorf("signed data: %v", err)
			}
			if size == capf.RSA512 {
				if answer.SHA2SignedData.Present() {
					t.Error("a key of 512 bits made a proof with SHA-512")
				}
				return
			}
			proof, err := wire.DecodeSHA2SignedData(answer.SHA2SignedData)
			if err != nil || proof.Hash != wire.HashSHA512 {
				t.Fatalf("%v, error %v", proof.Hash, err)
			}
			if err := digestIn(t, lsc.Key.Public(), proof.Signature.Reveal(), sha512Sum[:]); err != nil {
				t.Errorf("SHA-2 signed data: %v", err)
			}
		})
	}
}

// B2: which certificate is shown.
func TestPrecedence(t *testing.T) {
	lsc, mic := newIdentityOf(t, testDevice, capf.P256), newIdentityOf(t, "CP-7970G-"+testDevice, capf.P256)
	tests := []struct {
		mode   capf.AuthMode
		lsc    *Identity
		mic    *Identity
		wanted *Identity
	}{
		{capf.AuthByLSC, lsc, mic, lsc}, {capf.AuthByLSC, nil, mic, mic}, {capf.AuthByLSC, lsc, nil, lsc}, {capf.AuthByLSC, nil, nil, nil},
		{capf.AuthByMIC, lsc, mic, mic}, {capf.AuthByMIC, nil, mic, mic}, {capf.AuthByMIC, lsc, nil, lsc}, {capf.AuthByMIC, nil, nil, nil},
		{capf.AuthByNullString, lsc, mic, nil},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%s, LSC %v, MIC %v", test.mode, test.lsc != nil, test.mic != nil), func(t *testing.T) {
			answer := answered(t, func(config *Config) {
				config.Mode, config.Flash, config.MIC, config.SUDI = test.mode, NewMemoryFlash(), test.mic, mic
				if test.lsc != nil {
					giveLSC(t, config.Flash, test.lsc.Certificate.Raw, test.lsc.Key)
				}
			})
			var want []byte
			if test.wanted != nil {
				want = test.wanted.Certificate.Raw
			}
			if !bytes.Equal(answer.Certificate, want) {
				t.Errorf("another certificate of %d bytes", len(answer.Certificate))
			}
			if has := want != nil; answer.SignedData.Present() != has || answer.SHA2SignedData.Present() != has || answer.SUDIData.Present() != has {
				t.Errorf("proofs %v and %v, SUDI data %v", answer.SignedData.Present(), answer.SHA2SignedData.Present(), answer.SUDIData.Present())
			}
		})
	}
}

// SUDI data are over the session ID, the lowest byte first, and the certificate.
func TestSUDIData(t *testing.T) {
	sudi := newIdentityOf(t, "CP-7970G-"+testDevice, capf.RSA2048)
	answer := answered(t, func(config *Config) { config.Mode, config.MIC, config.SUDI = capf.AuthByMIC, sudi, sudi })
	data, err := wire.DecodeSUDIData(answer.SUDIData)
	if err != nil || !bytes.Equal(data.Certificate, sudi.Certificate.Raw) {
		t.Fatalf("%d bytes of certificate, error %v", len(data.Certificate), err)
	}
	signed := append([]byte{0x01, 0x00, 0xfe, 0xca}, sudi.Certificate.Raw...)
	if binary.BigEndian.Uint32([]byte{0xca, 0xfe, 0x00, 0x01}) != testSession {
		t.Fatal("the tests' session has another number")
	}
	sha1Sum, sha512Sum := sha1.Sum(signed), sha512.Sum512(signed)
	if err := digestIn(t, sudi.Key.Public(), data.SHA1.Reveal(), sha1Sum[:]); err != nil {
		t.Errorf("SHA-1: %v", err)
	}
	if err := digestIn(t, sudi.Key.Public(), data.SHA512.Reveal(), sha512Sum[:]); err != nil {
		t.Errorf("SHA-512: %v", err)
	}
	// A key that has no room for SHA-512 cannot make SUDI data: there is no session then.
	small := newIdentityOf(t, "CP-7970G-"+testDevice, capf.RSA512)
	config := configOf(serve(t, func(c *call) error { _, _ = c.authenticate(); return nil }))
	config.Mode, config.MIC, config.SUDI = capf.AuthByMIC, sudi, small
	if outcome := newPhone(t, config).Run(t.Context()); outcome.Err == nil || !strings.Contains(outcome.Err.Error(), "SUDI data") {
		t.Errorf("error %v", outcome.Err)
	}
}

func TestOnAuthenticateChangesTheAnswer(t *testing.T) {
	mic := newIdentityOf(t, "CP-7970G-"+testDevice, capf.RSA1024)
	answer := answered(t, func(config *Config) {
		config.Mode, config.MIC = capf.AuthByMIC, mic
		config.OnAuthenticate = func(response *wire.AuthenticationResponse) {
			response.SignedData = wire.Secret{}
			response.SHA2SignedData = wire.NewSecret([]byte("another"))
		}
	})
	if answer.Certificate == nil || answer.SignedData.Present() || !answer.SHA2SignedData.Equal("another") {
		t.Errorf("proofs %v, %q", answer.SignedData.Present(), answer.SHA2SignedData.Reveal())
	}
}

// A4: a phone that lost its power goes on in the mode in its flash; the installation over, it is gone.
func TestFlashKeepsCertificateModes(t *testing.T) {
	for _, mode := range []capf.AuthMode{capf.AuthByLSC, capf.AuthByMIC} {
		t.Run(string(mode), func(t *testing.T) {
			folder := t.TempDir()
			lsc, mic := newIdentityOf(t, testDevice, capf.P256), newIdentityOf(t, "CP-7970G-"+testDevice, capf.P256)
			want := map[capf.AuthMode]*Identity{capf.AuthByLSC: lsc, capf.AuthByMIC: mic}[mode].Certificate.Raw
			config := configOf(serve(t, func(c *call) error {
				response, err := c.authenticate()
				if err != nil || !bytes.Equal(response.Certificate, want) {
					return fmt.Errorf("%d bytes of certificate, error %w", len(response.Certificate), err)
				}
				if c.number == 1 {
					return c.raw.Close()
				}
				return c.install(testDevice, wire.RSAKeyRequest(3, 1024))
			}))
			config.Mode, config.MIC, config.Flash = mode, mic, openFlash(t, folder)
			giveLSC(t, config.Flash, lsc.Certificate.Raw, lsc.Key)
			if outcome := newPhone(t, config).Run(t.Context()); !errors.As(outcome.Err, new(*LineError)) {
				t.Fatalf("error %v", outcome.Err)
			}
			config.Mode, config.Flash = "", openFlash(t, folder)
			if outcome := newPhone(t, config).Run(t.Context()); outcome.Err != nil {
				t.Error(outcome.Err)
			}
			if kept, err := openFlash(t, folder).Mode(); kept != "" || err != nil {
				t.Errorf("after the operation the mode is %q, error %v", kept, err)
			}
		})
	}
}

// The line breaks after the new LSC is in flash: the next attempt shows that one.
func TestNextAttemptShowsTheNewLSC(t *testing.T) {
	var shown [][]byte
	config := configOf(serve(t, func(c *call) error {
		response, err := c.authenticate()
		if err != nil {
			return err
		}
		shown = append(shown, response.Certificate)
		_ = c.install(testDevice, wire.RSAKeyRequest(3, 1024)) // the line breaks in the first one
		return nil
	}))
	old := newIdentityOf(t, testDevice, capf.P256)
	config.Mode, config.Flash, config.Retry = capf.AuthByLSC, NewMemoryFlash(), Retry{Times: 1}
	giveLSC(t, config.Flash, old.Certificate.Raw, old.Key)
	var stored []byte
	stop := StopAt(7, false, DropRST)
	config.OnMessage = func(ctx context.Context, at Point) error {
		err := stop(ctx, at)
		if err != nil {
			stored = keptLSC(t, config.Flash).Certificate.Raw
		}
		return err
	}
	if outcome := newPhone(t, config).Run(t.Context()); outcome.Err != nil || outcome.Attempts != 2 {
		t.Fatalf("%d attempts, error %v", outcome.Attempts, outcome.Err)
	}
	if len(shown) != 2 || !bytes.Equal(shown[0], old.Certificate.Raw) || !bytes.Equal(shown[1], stored) || bytes.Equal(shown[0], shown[1]) {
		t.Errorf("%d certificates were shown, not the old one and the new one", len(shown))
	}
}

// A flash that cannot be read is no flash without an LSC: the phone does not fall back to its MIC.
func TestDamagedLSCIsNotPassedOver(t *testing.T) {
	folder := t.TempDir()
	config := configOf(serve(t, func(c *call) error {
		if response, err := c.authenticate(); err == nil {
			return fmt.Errorf("it answers with %d bytes of certificate", len(response.Certificate))
		}
		return nil
	}))
	config.Mode, config.MIC, config.Flash = capf.AuthByLSC, newIdentityOf(t, "CP-7970G-"+testDevice, capf.P256), openFlash(t, folder)
	path := filepath.Join(folder, testDevice, lscFile)
	if err := os.WriteFile(path, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if outcome := newPhone(t, config).Run(t.Context()); outcome.Err == nil || !strings.Contains(outcome.Err.Error(), path) {
		t.Errorf("error %v", outcome.Err)
	}
}

// Proofs can be replayed: none of them gets into the log.
func TestLogHidesProofs(t *testing.T) {
	var logged bytes.Buffer
	mic := newIdentityOf(t, "CP-7970G-"+testDevice, capf.RSA1024)
	answer := answered(t, func(config *Config) {
		config.Mode, config.MIC, config.SUDI = capf.AuthByMIC, mic, mic
		config.Log = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	for name, secret := range map[string]wire.Secret{"signed data": answer.SignedData, "SUDI data": answer.SUDIData, "SHA-2 signed data": answer.SHA2SignedData} {
		value := secret.Reveal()
		if part := value[len(value)-16:]; strings.Contains(strings.ToLower(logged.String()), hex.EncodeToString(part)) || bytes.Contains(logged.Bytes(), part) {
			t.Errorf("the log shows the %s", name)
		}
		if !strings.Contains(logged.String(), name) {
			t.Errorf("the log does not name the %s:\n%s", name, logged.String())
		}
	}
	if !strings.Contains(logged.String(), "type=MIC") {
		t.Errorf("the log does not say which certificate was shown:\n%s", logged.String())
	}
}
