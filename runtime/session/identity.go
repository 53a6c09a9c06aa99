package session

import (
	"bytes"
	"crypto/tls"

	"capf/runtime/capf"
)

// Identities gives the CAPF identity where it may change while phones are served: a successor of the CAPF
// certificate is put in force (*Two CAPF certificates* of the guide).
type Identities interface {
	// Current gives the certificate for handshakes, and who signs LSCs under it, as they are in force now. A
	// connection asks once and keeps both to its end.
	Current() (tls.Certificate, Issuer)
	// IsOwnKey reports whether a public key (capf.KeyIdentity) is CAPF's: in force, next or past.
	IsOwnKey(keySHA256 string) (bool, error)
}

// fixed is the identity of a server that keeps one.
type fixed struct{ server *Server }

func (f fixed) Current() (tls.Certificate, Issuer) { return f.server.Certificate, f.server.Issuer }

func (f fixed) IsOwnKey(keySHA256 string) (bool, error) {
	leaf := f.server.Certificate.Leaf
	return leaf != nil && capf.KeyIdentity(leaf.PublicKey, leaf.RawSubjectPublicKeyInfo) == keySHA256, nil
}

func (s *Server) identities() Identities {
	if s.Identities != nil {
		return s.Identities
	}
	return fixed{s}
}

// certified is a configuration with the certificate that it shows.
type certified struct {
	certificate []byte
	config      *tls.Config
}

// identity gives what one connection goes by: the configuration with the certificate in force now, and who
// issues under it. The configuration is shared by all connections until the certificate is another.
func (s *Server) identity(shared *tls.Config) (*tls.Config, Issuer) {
	certificate, issuer := s.identities().Current()
	if last := s.certified.Load(); last != nil && bytes.Equal(last.certificate, certificate.Certificate[0]) {
		return last.config, issuer
	}
	config := shared.Clone()
	config.Certificates, config.MaxVersion = []tls.Certificate{certificate}, maxTLS(certificate)
	s.certified.Store(&certified{certificate.Certificate[0], config})
	return config, issuer
}
