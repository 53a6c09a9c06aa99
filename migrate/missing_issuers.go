package migrate

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"capf/internal/plain"
	"capf/legacy/certfile"
	"capf/runtime/capf"
)

// isCAPF tells that a certificate is, by its name or its place, that of a CAPF.
func (j *judged) isCAPF() bool {
	return (j.IsCAPFCer || j.NamesCAPF()) && (j.Signature == certfile.Right || j.Signature == certfile.NotVerifiable)
}

// orphans are phones that have, or are known to have had, an LSC of an issuer whose certificate nobody has.
type orphans struct {
	anchors []*x509.Certificate // that LSCs are verified by once the run is done
	// served are phones that have had an LSC of ours since and confirmed it; own are the issuers of ours.
	served, own map[string]bool
	// found has the phones by their issuers, and those by the machine that shows it ("" for the store).
	found map[orphanIssuer]map[string]bool
}

type orphanIssuer struct{ machine, issuer string }

func (o *orphans) add(machine, issuer, device string) {
	key := orphanIssuer{machine, issuer}
	if o.found[key] == nil {
		o.found[key] = map[string]bool{}
	}
	o.found[key][device] = true
}

// findOrphans looks through the LSCs of the store and of the sources.
func (p *planner) findOrphans(ctx context.Context) error {
	o := &orphans{served: map[string]bool{}, own: map[string]bool{}, found: map[orphanIssuer]map[string]bool{}}
	p.orphans = o
	for _, anchor := range p.trusted {
		parsed, err := x509.ParseCertificate(anchor.DER)
		if err != nil {
			return fmt.Errorf("trust anchor %s in the store: %w", anchor.SHA256, err)
		}
		o.anchors = append(o.anchors, parsed)
	}
	for _, c := range p.certificates {
		if c.use == capf.LegacyAnchor {
			o.anchors = append(o.anchors, c.Parsed())
		}
	}
	if err := o.lookInStore(ctx, p.store); err != nil {
		return err
	}
	for _, c := range p.certificates {
		if c.use == capf.LegacyStored && c.Signature == certfile.NotSelfIssued {
			o.look(c.machine, c.Parsed())
		}
	}
	for key, devices := range o.found {
		maps.DeleteFunc(devices, func(device string, _ bool) bool { return o.served[device] })
		if len(devices) == 0 || key.machine == "" && o.own[key.issuer] {
			delete(o.found, key)
		}
	}
	return nil
}

// lookInStore finds those that phones showed or that an earlier run found. What was verified when it was found needs
// no second look while its issuer is still an anchor by name.
func (o *orphans) lookInStore(ctx context.Context, store PhoneStore) error {
	names := map[string]bool{}
	for _, anchor := range o.anchors {
		names[anchor.Subject.String()] = true
	}
	return store.Certificates(ctx, "", func(c capf.Certificate) error {
		switch {
		case c.Kind != capf.LSC || c.State == capf.CertificateRevoked:
		case c.Source == capf.SourceIssued:
			o.own[c.Issuer] = true
			if c.State == capf.CertificateConfirmed {
				o.served[c.Device] = true
			}
		case c.Source == capf.SourceLegacy && names[c.Issuer]:
		default:
			parsed, err := x509.ParseCertificate(c.DER)
			if err != nil {
				return fmt.Errorf("certificate %s of %s in the store: %w", c.Serial, c.Device, err)
			}
			o.look("", parsed)
		}
		return nil
	})
}

// look notes an LSC that no anchor verifies. Where an anchor has the name of its issuer and the signature is of a kind
// that cannot be verified (MD5), the issuer counts as found.
func (o *orphans) look(machine string, certificate *x509.Certificate) {
	device, err := capf.ParseDevice(certificate.Subject.CommonName)
	if _, phone := capf.MAC(device); err != nil || !phone {
		return
	}
	for _, anchor := range o.anchors {
		if string(anchor.RawSubject) != string(certificate.RawIssuer) {
			continue
		}
		err := anchor.CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature)
		var insecure x509.InsecureAlgorithmError
		if err == nil || errors.Is(err, x509.ErrUnsupportedAlgorithm) || errors.As(err, &insecure) {
			return
		}
	}
	o.add(machine, certificate.Issuer.String(), device)
}

// missingIssuers are the issuers of LSCs whose certificate nobody has.
func (p *planner) missingIssuers() []Missing {
	keys := slices.SortedFunc(maps.Keys(p.orphans.found), func(a, b orphanIssuer) int {
		return strings.Compare(a.machine+"\x00"+a.issuer, b.machine+"\x00"+b.issuer)
	})
	var out []Missing
	for _, key := range keys {
		devices := slices.Sorted(maps.Keys(p.orphans.found[key]))
		where := key.machine + " has"
		if key.machine == "" {
			where = "the store has"
		}
		out = append(out, Missing{
			What: MissingIssuer, Machine: key.machine, Subjects: []string{key.issuer}, Stops: true,
			Phones: len(devices), Devices: devices[:min(len(devices), mostDevices)],
			Why: fmt.Sprintf("%s LSCs of %s, issued by %s, of which no certificate was found that is trusted", where,
				plain.Counted(len(devices), "phone"), plain.Clip(key.issuer)),
			Do: "copy the `*.0` files of the CAPF folder of the machine on which it ran, or name its certificate with --anchor",
		})
	}
	return out
}

// recordsWithoutIssuer finds machines whose records say that they installed LSCs, and of whose CAPF there is no
// certificate that will be trusted: neither in a source nor in the store. Those phones lose what they have (E2 of the
// guide). Where certificates of others are there, this one was forgotten, and a run is refused for it. Where nobody has
// a certificate, as in a list or a CAPF.phone that was given alone, it is said: there is none to be expected.
func (p *planner) recordsWithoutIssuer(claims claims) []Missing {
	var out []Missing
	installed := p.installed()
	expected := len(p.certificates)+len(p.trusted) > 0
	for _, m := range p.reading.machines {
		devices := installed[m.name]
		if devices == nil || p.hasIssuer(m, claims) {
			continue
		}
		do := "copy the `*.0` files of its CAPF folder too, or give its certificate to `capf anchor add`"
		if named := claims.named[m.name]; len(named) > 0 {
			do = fmt.Sprintf("trust %s with --anchor %s, if it is that CAPF's", named[0].File, named[0].digest)
		}
		out = append(out, Missing{
			What: MissingIssuer, Machine: m.name, Phones: devices.count, Devices: devices.first, Do: do, Stops: expected,
			Why: fmt.Sprintf("the records of %s say that %s got an LSC there, and no certificate of its CAPF was found that is trusted",
				m.name, plain.Counted(devices.count, "phone")),
		})
	}
	return out
}

// someDevices counts phones and names the first of them.
type someDevices struct {
	count int
	first []string
}

// installed gives, by machine, the phones that have an LSC from there, by records that are new to the store. Phones
// that have confirmed one of ours since are not among them.
func (p *planner) installed() map[string]*someDevices {
	out := map[string]*someDevices{}
	for _, g := range p.groups {
		last := ""
		for _, r := range g.records {
			if r.known || r.machine == last || !g.hasInstalled(r) || p.orphans.served[g.device] {
				continue
			}
			if last = r.machine; out[last] == nil {
				out[last] = &someDevices{}
			}
			one := out[last]
			if one.count++; len(one.first) < mostDevices {
				one.first = append(one.first, g.device)
			}
		}
	}
	return out
}

// hasInstalled tells whether a record says that an LSC was installed, and none of its machine that it was deleted later.
// Without times nobody knows what was later.
func (g *group) hasInstalled(r *record) bool {
	if r.status != capf.StatusSuccess || r.operation != capf.OperationInstall {
		return false
	}
	return !slices.ContainsFunc(g.records, func(other *record) bool {
		return other.machine == r.machine && other.status == capf.StatusSuccess && other.operation == capf.OperationDelete &&
			other.time.Absolute == r.time.Absolute && !r.time.IsZero() && other.time.Clock.After(r.time.Clock)
	})
}

// hasIssuer tells whether the CAPF that issued the LSCs of a machine's records will be trusted: by an anchor or an LSC
// that lies there, or by an anchor that is not known to be of another machine with records. A list of phones and a
// database come from no CAPF folder: any anchor may be of theirs.
func (p *planner) hasIssuer(m *machineReading, claims claims) bool {
	list := len(m.PhoneFiles) == 0
	mayBe := func(digest string) bool { return list || !claims.home[digest] }
	for _, c := range p.certificates {
		switch {
		case c.machine == m.name && (c.use == capf.LegacyLSC || c.use == capf.LegacyAnchor):
			return true
		case c.use == capf.LegacyAnchor && mayBe(c.digest):
			return true
		}
	}
	return slices.ContainsFunc(p.trusted, func(anchor capf.Anchor) bool { return mayBe(anchor.SHA256) })
}
