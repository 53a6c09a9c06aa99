package ca

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"math/big"
	"time"

	"capf/runtime/capf"
)

// reasonCodes are those of RFC 5280, 5.3.1. Unspecified stands there by being left out.
var reasonCodes = map[capf.RevokeReason]int{
	capf.RevokeUnspecified:        0,
	capf.RevokeKeyCompromise:      1,
	capf.RevokeAffiliationChanged: 3,
	capf.RevokeSuperseded:         4,
	capf.RevokeCessation:          5,
	capf.RevokePrivilegeWithdrawn: 9,
	capf.RevokeDeleted:            5,
}

// CanSignCRL gives CodeRefused, with the reason, where the CAPF certificate may not sign CRLs, or not any more, and
// CodeUnavailable where the clock says that it is not valid yet.
//
// Past its end there is none to make: no LSC outlasts its issuer (A2), so that a CRL would be about expired
// certificates alone, which leave it anyway (RFC 5280, 3.3), and whoever verifies it refuses it with the certificate
// that signed it.
func (a *Authority) CanSignCRL() error {
	now, certificate := a.clock(), a.Certificate
	hint := "make another with `capf ca renew`"
	why := ""
	switch {
	case certificate.KeyUsage&x509.KeyUsageCRLSign == 0:
		why = "its key usage does not include cRLSign, so that nobody would take a CRL of it"
	case len(certificate.SubjectKeyId) == 0:
		why = "it has no subject key identifier, by which a CRL must name it"
	case now.Before(certificate.NotBefore):
		_, err := a.now()
		return err
	case !now.Before(certificate.NotAfter):
		why = fmt.Sprintf("it ended at %s, and all that it issued with it; the clock here says %s", capf.FormatTime(certificate.NotAfter), capf.FormatTime(now))
		hint = "take it off the servers that ask for its CRL, or set the clock of this machine right"
	default:
		return nil
	}
	return &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("the CAPF certificate %s cannot sign a CRL: %s", a.Name(), why), Hint: hint}
}

// CRL signs a list of what this authority has issued and what is revoked (RFC 5280, 5), in DER. It holds from
// the clock's time for so long, but not past the end of the CAPF certificate; until says to when.
func (a *Authority) CRL(contents capf.Revocations, number int64, life time.Duration) (der []byte, until time.Time, err error) {
	if err := a.CanSignCRL(); err != nil {
		return nil, time.Time{}, err
	}
	now := a.clock().UTC().Truncate(time.Second)
	template := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: now, NextUpdate: earlier(now.Add(life), a.Certificate.NotAfter),
		SignatureAlgorithm: x509.SHA256WithRSA}
	for _, one := range contents.Entries {
		serial, err := hex.DecodeString(one.Serial)
		if err != nil {
			return nil, time.Time{}, &capf.Error{Code: capf.CodeInternal, Message: fmt.Sprintf("CRL: serial number %q", one.Serial), Err: err}
		}
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: new(big.Int).SetBytes(serial), RevocationTime: one.RevokedAt, ReasonCode: reasonCodes[one.Reason]})
	}
	der, err = x509.CreateRevocationList(a.random, template, a.Certificate, a.signer)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("sign the CRL: %w", err)
	}
	return der, template.NextUpdate, nil
}
