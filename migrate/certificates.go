package migrate

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"

	"capf/legacy/certfile"
	"capf/runtime/capf"
)

// judged is a certificate that was found, with what becomes of it.
type judged struct {
	*certfile.Certificate
	machine string
	digest  string // SHA-256, hex
	use     capf.LegacyUse
	why     string
	device  string // of an LSC
}

// court judges certificates over all machines of a cluster, since what one of them has may speak for what lies on
// another.
type court struct {
	certificates []*judged
	named        map[string]bool     // by the administrator
	capfCer      map[string]string   // digests of CAPF.cer, with their machines
	inFolder     map[string]string   // digests of those that name CAPF in a CAPF folder, with their machines
	anchors      []*x509.Certificate // of this run and of the store
}

// judge says of every certificate what becomes of it. Those already trusted as anchors of LSCs vouch for LSCs too.
func (r *reading) judge(trusted []capf.Anchor) (*court, error) {
	court := &court{named: map[string]bool{}, capfCer: map[string]string{}, inFolder: map[string]string{}}
	for _, digest := range r.options.Anchors {
		court.named[digest] = true
	}
	for _, m := range r.machines {
		for i := range m.Certificates {
			court.hear(m.name, &m.Certificates[i])
		}
	}
	if err := court.checkNamed(); err != nil {
		return nil, err
	}
	for _, anchor := range trusted {
		parsed, err := x509.ParseCertificate(anchor.DER)
		if err != nil {
			return nil, fmt.Errorf("trust anchor %s in the store: %w", anchor.SHA256, err)
		}
		court.anchors = append(court.anchors, parsed)
	}
	for _, one := range court.certificates {
		court.judgeAnchor(one)
	}
	for _, one := range court.certificates {
		if one.use != capf.LegacyAnchor {
			court.judgeOther(one)
		}
	}
	return court, nil
}

func (c *court) hear(machine string, certificate *certfile.Certificate) {
	digest := hex.EncodeToString(certificate.SHA256[:])
	c.certificates = append(c.certificates, &judged{Certificate: certificate, machine: machine, digest: digest})
	if certificate.IsCAPFCer && c.capfCer[digest] == "" {
		c.capfCer[digest] = machine
	}
	if certificate.InCAPFFolder && certificate.NamesCAPF() && c.inFolder[digest] == "" {
		c.inFolder[digest] = machine
	}
}

// checkNamed sees that the administrator has named certificates that are there and can be anchors.
func (c *court) checkNamed() error {
	for digest := range c.named {
		problem := "no certificate in the sources has that SHA-256"
		for _, one := range c.certificates {
			if one.digest == digest {
				problem = one.unfit()
				break
			}
		}
		if problem != "" {
			return &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("anchor %s: %s", digest, problem),
				Hint: "name a self-signed certificate that `capf migrate plan` lists"}
		}
	}
	return nil
}

// unfit says why a certificate cannot be an anchor even if it is named.
func (j *judged) unfit() string {
	switch j.Signature {
	case certfile.NotSelfIssued:
		return "it is not self-signed"
	case certfile.Wrong:
		return "it names itself as its issuer, but its signature is not of its own key"
	}
	return ""
}

// judgeAnchor holds the rule of legacy-layout.md. Dates play no part: LSCs of an expired CAPF stay verifiable. A
// signature with MD5 cannot be verified, so such a certificate is an anchor only if the administrator names it: trust
// comes from the name then, and its own signature proves nothing in any case.
func (c *court) judgeAnchor(one *judged) {
	self := one.Signature == certfile.Right
	switch {
	case c.named[one.digest] && (self || one.Signature == certfile.NotVerifiable):
		one.why = "named by the administrator"
	case self && c.capfCer[one.digest] != "":
		one.why = "self-signed, equals CAPF.cer of " + c.capfCer[one.digest]
	case self && c.inFolder[one.digest] != "":
		one.why = "self-signed, names CAPF and lies in the CAPF folder of " + c.inFolder[one.digest]
	case self && one.IsIdentity && c.signs(one):
		one.why = "self-signed, in capf.pem of " + one.machine + ", and signed LSCs in the database beside it"
	default:
		return
	}
	one.use = capf.LegacyAnchor
	c.anchors = append(c.anchors, one.Parsed())
}

// signs tells whether an LSC in a database of the same machine has the signature of a certificate: that proves it to be
// the identity of the daemon that kept the database.
func (c *court) signs(identity *judged) bool {
	issuer := identity.Parsed()
	for _, one := range c.certificates {
		if one.Row == "" || one.machine != identity.machine {
			continue
		}
		parsed := one.Parsed()
		if string(parsed.RawIssuer) != string(issuer.RawSubject) {
			continue
		}
		if device, err := capf.ParseDevice(one.CommonName); err != nil || device != one.Row {
			continue
		}
		if issuer.CheckSignature(parsed.SignatureAlgorithm, parsed.RawTBSCertificate, parsed.Signature) == nil {
			return true
		}
	}
	return false
}

// judgeOther tells the LSCs of phones from the rest.
func (c *court) judgeOther(one *judged) {
	one.use = capf.LegacyStored
	parsed := one.Parsed()
	switch device, why := c.deviceOf(parsed); {
	case one.Signature == certfile.Right:
		one.why = "self-signed, but neither CAPF.cer nor CAPF's in its own folder"
	case one.Signature == certfile.NotVerifiable:
		one.why = fmt.Sprintf("self-issued, and its signature (%s) cannot be verified; can be named as an anchor", parsed.SignatureAlgorithm)
	case one.Signature == certfile.Wrong:
		one.why = one.unfit()
	case device != "" && one.Row != "" && one.Row != device:
		one.why = fmt.Sprintf("is in the row of %s, but is the LSC of %s", one.Row, device)
	case device != "":
		one.use, one.device, one.why = capf.LegacyLSC, device, why
	default:
		one.why = why
	}
}

// deviceOf gives the phone that a certificate is the LSC of, and by which anchor; or why it is none.
func (c *court) deviceOf(certificate *x509.Certificate) (device, why string) {
	device, err := capf.ParseDevice(certificate.Subject.CommonName)
	if _, phone := capf.MAC(device); err != nil || !phone {
		return "", "its common name is not that of a phone"
	}
	why = "names a phone, but its issuer is no anchor"
	for _, anchor := range c.anchors {
		if string(anchor.RawSubject) != string(certificate.RawIssuer) {
			continue
		}
		// Only the signature counts: CheckSignatureFrom would refuse SHA-1.
		err := anchor.CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature)
		if err == nil {
			return device, "LSC of " + device + ", issued by " + anchor.Subject.CommonName
		}
		why = fmt.Sprintf("names a phone, but its signature is not shown to be that of %s: %s", anchor.Subject.CommonName,
			strings.TrimPrefix(err.Error(), "x509: "))
	}
	return "", why
}

// file is the certificate as it is staged.
func (j *judged) file() capf.LegacyFile {
	return capf.LegacyFile{
		Machine: j.machine, File: j.File, Line: j.Line, SHA256: j.digest, Subject: j.Parsed().Subject.String(),
		DER: j.DER, Use: j.use, Why: j.why,
	}
}
