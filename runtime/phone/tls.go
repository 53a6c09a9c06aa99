package phone

import (
	"crypto/tls"
	"errors"
	"fmt"
)

// TLS is what a phone offers in its handshake. The zero value is a phone that speaks everything.
type TLS struct {
	Min, Max     uint16   // tls.VersionTLS10 and so on; 0: 1.0 and 1.3
	CipherSuites []uint16 // up to TLS 1.2; nil: those of phones of that age
}

// TLSOnly is a phone that speaks exactly one version.
func TLSOnly(version uint16) TLS { return TLS{Min: version, Max: version} }

var tlsVersions = map[string]uint16{
	"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13,
}

// ParseTLSVersion reads 1.0, 1.1, 1.2 or 1.3.
func ParseTLSVersion(text string) (uint16, error) {
	version, known := tlsVersions[text]
	if !known {
		return 0, fmt.Errorf("TLS version %q: use 1.0, 1.1, 1.2 or 1.3", text)
	}
	return version, nil
}

var (
	// What phones of the CallManager 4.1 era speak: RSA key exchange and AES128-SHA or 3DES [P].
	oldSuites = []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}
	// Newer phones reach TLS 1.2; which suites they offer is a choice of the simulation.
	newSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_128_CBC_SHA}
)

func (t TLS) filled() TLS {
	if t.Min == 0 {
		t.Min = tls.VersionTLS10
	}
	if t.Max == 0 {
		t.Max = tls.VersionTLS13
	}
	if t.CipherSuites == nil && t.Max < tls.VersionTLS12 {
		t.CipherSuites = oldSuites
	} else if t.CipherSuites == nil {
		t.CipherSuites = newSuites
	}
	return t
}

func (t TLS) check() error {
	if t = t.filled(); t.Min > t.Max || t.Min < tls.VersionTLS10 || t.Max > tls.VersionTLS13 {
		return fmt.Errorf("TLS versions %s to %s: use 1.0 to 1.3", tls.VersionName(t.Min), tls.VersionName(t.Max))
	}
	return nil
}

// config is the client's side. The phone knows no authorities and no host names: it compares the server's
// certificate with its list [P], and sends no server name. Without a cache of sessions it offers no
// resumption, so that a server of TLS 1.3 has no tickets to send among the messages.
func (t TLS) config(verify VerifyServer) *tls.Config {
	t = t.filled()
	return &tls.Config{
		MinVersion:                  t.Min,
		MaxVersion:                  t.Max,
		CipherSuites:                t.CipherSuites,
		InsecureSkipVerify:          true, // VerifyConnection does it
		DynamicRecordSizingDisabled: true, // a message is one record
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return &ServerError{Err: errors.New("there is none")}
			}
			if err := verify(state.PeerCertificates[0]); err != nil {
				return &ServerError{Err: err}
			}
			return nil
		},
	}
}
