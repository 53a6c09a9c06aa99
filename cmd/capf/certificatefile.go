package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
)

// chosenCertificate reads a certificate from what is in a file, DER or PEM. Of a chain in PEM, in any order, it gives the
// one that issued none of the others: a server's own. Blocks of other kinds (keys, parameters) are passed over, not kept.
func chosenCertificate(content []byte) (*x509.Certificate, error) {
	block, rest := pem.Decode(content)
	if block == nil {
		return x509.ParseCertificate(content)
	}
	var found []*x509.Certificate
	for ; block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(found)+1, err)
		}
		found = append(found, certificate)
	}
	const most = 16
	if len(found) > most {
		return nil, fmt.Errorf("it has %d certificates; no chain has more than %d", len(found), most)
	}
	return endOfChain(found)
}

// endOfChain gives the one certificate that issued none of the others.
func endOfChain(chain []*x509.Certificate) (*x509.Certificate, error) {
	chain = slices.Clone(chain)
	slices.SortFunc(chain, func(a, b *x509.Certificate) int { return bytes.Compare(a.Raw, b.Raw) })
	chain = slices.CompactFunc(chain, (*x509.Certificate).Equal)
	ends := slices.DeleteFunc(slices.Clone(chain), func(one *x509.Certificate) bool {
		return slices.ContainsFunc(chain, func(other *x509.Certificate) bool {
			return !other.Equal(one) && bytes.Equal(other.RawIssuer, one.RawSubject) && !bytes.Equal(other.RawIssuer, other.RawSubject)
		})
	})
	switch {
	case len(chain) == 0:
		return nil, errors.New("it has PEM blocks, but none is a certificate")
	case len(ends) != 1:
		return nil, fmt.Errorf("of its %d certificates %d issued none of the others: which one is meant cannot be told", len(chain), len(ends))
	}
	return ends[0], nil
}

// checkListKey refuses a certificate whose key has no place in a trust list (ctl-format.md, "Records"), and reports
// whether only newer phones know such keys.
func checkListKey(certificate *x509.Certificate) (newer bool, err error) {
	switch certificate.PublicKey.(type) {
	case *rsa.PublicKey:
		return false, nil
	case *ecdsa.PublicKey:
		return true, nil
	}
	return false, fmt.Errorf("its key is of type %s: only RSA and EC have a place in a trust list", certificate.PublicKeyAlgorithm)
}
