package capf

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"capf/internal/plain"
)

// VerifyChain finds, among the anchors, the one that issued a phone's certificate. Phones of this age carry
// certificates with SHA-1 signatures, and anchors that have expired, which Verify and CheckSignatureFrom of
// crypto/x509 refuse; so the signature is checked here: SHA-1 is allowed, MD5 never. The leaf must be in its
// time, an anchor's dates do not count. Every anchor is trusted by itself, an intermediate too.
func VerifyChain(leaf *x509.Certificate, anchors []*x509.Certificate, now time.Time) (*x509.Certificate, error) {
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return nil, fmt.Errorf("the certificate is valid from %s to %s", FormatTime(leaf.NotBefore), FormatTime(leaf.NotAfter))
	}
	return FindIssuer(leaf, anchors)
}

// FindIssuer is VerifyChain without the dates: who issued a certificate that is only looked at.
func FindIssuer(leaf *x509.Certificate, anchors []*x509.Certificate) (*x509.Certificate, error) {
	problem := errors.New("no trust anchor has the name of its issuer: " + plain.Clip(leaf.Issuer.String()))
	for _, anchor := range anchors {
		if !bytes.Equal(anchor.RawSubject, leaf.RawIssuer) {
			continue
		}
		if anchor.BasicConstraintsValid && !anchor.IsCA {
			problem = fmt.Errorf("the trust anchor %s is no CA", anchor.Subject)
			continue
		}
		err := anchor.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature)
		if err == nil {
			return anchor, nil
		}
		problem = fmt.Errorf("not signed by the trust anchor %s: %w", anchor.Subject, err)
	}
	return nil, problem
}

// KindOf tells by its common name whether a certificate is the LSC of a device (the name itself) or its MIC
// (a name that ends in `-SEP` and the MAC address), and false where it is neither: another speaks for it.
func KindOf(certificate *x509.Certificate, device string) (CertificateKind, bool) {
	name := certificate.Subject.CommonName
	if name == device {
		return LSC, true
	}
	if _, isPhone := MAC(device); isPhone && strings.HasSuffix(name, "-"+device) {
		return MIC, true
	}
	return "", false
}
