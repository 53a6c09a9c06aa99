package ca

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/go-multierror"

	"capf/runtime/capf"
)

// MaxAnchorFile is how long a file with certificates may be, in bytes.
const MaxAnchorFile = 1 << 20

const maxAnchors = 200 // certificates in one file

// ReadAnchors reads the certificates of a file that an administrator wants to trust: PEM with one or several,
// or one in DER. Whatever stands between PEM blocks is not looked at; a block of another kind is refused. Each
// certificate comes once. All that is wrong is reported, with the place.
func ReadAnchors(content []byte) ([]*x509.Certificate, error) {
	if len(content) > MaxAnchorFile {
		return nil, fmt.Errorf("more than %d bytes", MaxAnchorFile)
	}
	block, rest := pem.Decode(content)
	if block == nil {
		certificate, err := x509.ParseCertificate(content)
		if err != nil {
			return nil, fmt.Errorf("neither PEM nor one certificate in DER: %w", err)
		}
		return []*x509.Certificate{certificate}, nil
	}
	var found []*x509.Certificate
	var problems *multierror.Error
	for number := 1; block != nil; block, rest = pem.Decode(rest) {
		certificate, err := readBlock(block)
		if err != nil {
			problems = multierror.Append(problems, fmt.Errorf("PEM block %d: %w", number, err))
		} else if !slices.ContainsFunc(found, certificate.Equal) {
			found = append(found, certificate)
		}
		if number++; number > maxAnchors+1 {
			return nil, fmt.Errorf("more than %d certificates", maxAnchors)
		}
	}
	if err := problems.ErrorOrNil(); err != nil {
		return nil, err
	}
	return found, nil
}

func readBlock(block *pem.Block) (*x509.Certificate, error) {
	if block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%.40q is no certificate; give a file that holds certificates alone", block.Type)
	}
	return x509.ParseCertificate(block.Bytes)
}

// CheckAnchor says why a certificate is not fit to vouch for those of phones; nil where it is. Dates play no
// part: LSCs of an expired CAPF stay verifiable. Certificates of version 1 say nothing of being a CA, and pass.
func CheckAnchor(c *x509.Certificate) error {
	if c.BasicConstraintsValid && !c.IsCA {
		return errors.New("it is no CA (basicConstraints: CA false): what it signed would never be accepted")
	}
	if !bytes.Equal(c.RawSubject, c.RawIssuer) {
		return nil // an intermediate: trusted because it is named, like every anchor
	}
	if c.SignatureAlgorithm == x509.MD5WithRSA || c.SignatureAlgorithm == x509.MD2WithRSA {
		return &weakAnchor{c.SignatureAlgorithm}
	}
	if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
		return fmt.Errorf("it names itself as its issuer, but its signature is not of its own key: %w", err)
	}
	return nil
}

// weakAnchor is a self-signed certificate under a broken hash.
type weakAnchor struct{ algorithm x509.SignatureAlgorithm }

func (w *weakAnchor) Error() string {
	return fmt.Sprintf("it signed itself with %s, which can be forged: that it is whole cannot be verified, and phones' certificates "+
		"signed in that way are never accepted; compare its SHA-256 with the original, then take it with --force", w.algorithm)
}

// IsWeakAnchor reports whether CheckAnchor found nothing wrong but a broken hash, which an administrator who
// has compared the certificate with the original may overrule: its own signature proves nothing in any case.
func IsWeakAnchor(err error) bool { return errors.As(err, new(*weakAnchor)) }

// Anchor gives the certificate as a trust anchor for certificates of a kind.
func Anchor(c *x509.Certificate, kind capf.CertificateKind, origin string) (capf.Anchor, error) {
	read, err := capf.ReadCertificate(c.Raw)
	if err != nil {
		return capf.Anchor{}, err
	}
	return capf.Anchor{Kind: kind, Subject: read.Subject, Serial: read.Serial, NotBefore: read.NotBefore, NotAfter: read.NotAfter,
		DER: read.DER, SHA256: read.SHA256, Origin: origin}, nil
}

// Anchor gives CAPF's certificate as what vouches for its LSCs.
func (a *Authority) Anchor() (capf.Anchor, error) {
	return Anchor(a.Certificate, capf.LSC, "CAPF certificate in force")
}
