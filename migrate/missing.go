package migrate

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"capf/internal/plain"
	"capf/legacy"
	"capf/legacy/certfile"
	"capf/legacy/cfgfile"
	"capf/runtime/capf"
)

// What must have been forgotten when the disks were copied is found by what is there: certificates of a CAPF without its
// records, LSCs and records without the certificate of their issuer, servers that a configuration or the store names.

// MissingKind says what kind of thing is missing.
type MissingKind string

// What can be missing.
const (
	MissingRecords MissingKind = "phone-records"      // the records of a CAPF of which there is a certificate
	MissingIssuer  MissingKind = "issuer-certificate" // the certificate of a CAPF that has issued LSCs
	MissingMachine MissingKind = "machine"            // a server that is named, and not among the sources
)

// Missing is something that should be among the sources and is not. It is lost where nobody copies it before the run,
// or before CAPF issues anew (E2 of the guide).
type Missing struct {
	What MissingKind `json:"what"`
	// Machine is the source that shows it; for MissingMachine the name of the server itself. Empty: the store shows it.
	Machine string `json:"machine,omitempty"`
	// Subjects are those of the certificates that are there, or the issuer whose certificate is not; none for machines.
	Subjects []string `json:"subjects,omitempty"`
	Why      string   `json:"why"`
	// Do says what to do about it.
	Do string `json:"do"`
	// Phones counts the phones concerned, Devices names the first of them (at most 100) in order.
	Phones  int      `json:"phones,omitempty"`
	Devices []string `json:"devices,omitempty"`
	// Stops tells that a run is refused until it is accepted. Otherwise it is only said: it may well be as it should.
	Stops bool `json:"stops"`
}

// mostDevices is how many phones are named where something is missing.
const mostDevices = 100

// Stopping gives what a run is refused for; nothing once that is accepted.
func (p *Plan) Stopping() []Missing {
	if p.AcceptMissing {
		return nil
	}
	return stopping(p.Missing)
}

func stopping(all []Missing) []Missing {
	return slices.DeleteFunc(slices.Clone(all), func(m Missing) bool { return !m.Stops })
}

// refusals name each thing that a run is refused for; nothing once that is accepted.
func (p *planner) refusals() []error {
	if p.options.AcceptMissing {
		return nil
	}
	var out []error
	for _, one := range stopping(p.lacking) {
		out = append(out, &capf.Error{Code: capf.CodeRefused, Message: one.String(),
			Hint: one.Do + ", or go on without it with --accept-missing; nothing is stored"})
	}
	return out
}

// accepted is what a run that goes on would have been refused for, for its record.
func (p *planner) accepted() []string {
	var out []string
	for _, one := range stopping(p.lacking) {
		out = append(out, one.String())
	}
	return out
}

// String says in one line what is missing and why that is known.
func (m Missing) String() string { return "missing: " + m.Why }

// missing finds all that is missing, in a fixed order: first what stops a run. The store has been asked already.
func (p *planner) missing() []Missing {
	claims := p.claims()
	all := slices.Concat(p.missingRecords(claims), p.unreadRecords(), p.missingIssuers(), p.recordsWithoutIssuer(claims), p.missingMachines())
	return append(stopping(all), slices.DeleteFunc(all, func(m Missing) bool { return m.Stops })...)
}

// claims say which machines CAPF ran on, by its certificates.
type claims struct {
	// home are the digests of CAPF certificates that belong to a machine with phone records.
	home map[string]bool
	// named are the CAPF certificates of each machine, each once.
	named map[string][]*judged
}

// claims follows legacy-layout.md: where CAPF ran its certificate lies in the CAPF folder, and on the publisher it is
// CAPF.cer; that of a usecallmanager daemon is capf.pem. Where neither is there, the only one that names CAPF among those
// of all services is taken for its own.
func (p *planner) claims() claims {
	out := claims{home: map[string]bool{}, named: map[string][]*judged{}}
	for _, c := range p.certificates {
		there := out.named[c.machine]
		if c.isCAPF() && !slices.ContainsFunc(there, func(other *judged) bool { return other.digest == c.digest }) {
			out.named[c.machine] = append(there, c)
		}
	}
	for _, m := range p.reading.machines {
		named := out.named[m.name]
		if !m.hasRecords() {
			continue
		}
		own := 0
		for _, c := range p.certificates {
			if c.machine == m.name && (c.IsIdentity || c.isCAPF() && (c.InCAPFFolder || c.IsCAPFCer)) {
				out.home[c.digest] = true
				own++
			}
		}
		if own == 0 && len(named) == 1 {
			out.home[named[0].digest] = true
		}
	}
	return out
}

// hasRecords tells whether there is a phone file with anything in it.
func (m *machineReading) hasRecords() bool { return len(m.records)+len(m.unread) > 0 }

// missingRecords finds CAPF certificates without the phone records of that CAPF. Those that the store trusts already
// were there when they were taken over, or were named by a person.
func (p *planner) missingRecords(claims claims) []Missing {
	var out []Missing
	said := map[string]bool{}
	for _, m := range p.reading.machines {
		var lone []*judged
		for _, c := range claims.named[m.name] {
			if !claims.home[c.digest] && !said[c.digest] && !p.isTrusted(c) {
				said[c.digest] = true
				lone = append(lone, c)
			}
		}
		if len(lone) > 0 {
			one := missingRecordsOf(m, lone)
			if one.Stops {
				one.nameBare(p.bare(claims))
			}
			out = append(out, one)
		}
	}
	return out
}

// missingRecordsOf says it of the certificates of one machine. Where that has phone records of its own, they may be of
// a server that CAPF never ran on, or of another cluster: a run is not refused for them.
func missingRecordsOf(m *machineReading, lone []*judged) Missing {
	out := Missing{What: MissingRecords, Machine: m.name, Stops: !m.hasRecords(),
		Do: "copy CAPF.phone from the CAPF folder of the machine on which it ran"}
	var names []string
	for _, c := range lone {
		out.Subjects = append(out.Subjects, c.Parsed().Subject.String())
		if name := plain.Clip(c.CommonName); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	with := fmt.Sprintf("%s has the CAPF certificate %s", m.name, listedInWords(names))
	if len(names) > 1 {
		with = fmt.Sprintf("%s has the CAPF certificates %s", m.name, listedInWords(names))
	}
	switch {
	case m.hasRecords():
		out.Why = with + ": in the CAPF folder of no source with phone records"
		out.Do = "give the folder of the machine on which it ran, if that was one of this cluster"
	case len(m.PhoneFiles)+len(m.Further) > 0:
		out.Why = with + ", and no record in its CAPF.phone"
	default:
		out.Why = with + ", but no CAPF.phone"
	}
	return out
}

// unreadRecords finds machines of whose phone records no line was understood: a dialect that was named reads the file, and
// nothing in it.
func (p *planner) unreadRecords() []Missing {
	var out []Missing
	for _, m := range p.reading.machines {
		if files := m.phoneFiles(); len(m.records) == 0 && len(m.unread) > 0 && len(files) > 0 {
			out = append(out, Missing{What: MissingRecords, Machine: m.name, Stops: true,
				Why: fmt.Sprintf("%s has %s in %s, and none was understood", m.name, plain.Counted(len(m.unread), "line"), listedInWords(files)),
				Do:  "see `capf migrate inspect` for what stands in the way, and describe the file by a dialect (`capf migrate dialect`)"})
		}
	}
	return out
}

// bare are the machines with a CAPF.phone whose CAPF has no certificate there: their *.0 may have been forgotten.
func (p *planner) bare(claims claims) []string {
	var out []string
	for _, m := range p.reading.machines {
		if m.hasRecords() && len(m.PhoneFiles) > 0 && len(claims.named[m.name]) == 0 {
			out = append(out, m.name)
		}
	}
	return out
}

// nameBare adds the other thing that may have been forgotten: where CAPF ran on a machine whose certificates are not
// there, the records that are looked for are that one's.
func (m *Missing) nameBare(machines []string) {
	if len(machines) == 0 {
		return
	}
	names := listedInWords(machines)
	m.Why += fmt.Sprintf(", and %s has CAPF.phone, but none of the `*.0` of its CAPF", names)
	m.Do = fmt.Sprintf("copy the `*.0` of the CAPF folder of %s, if CAPF ran there; else %s", names, m.Do)
}

// listedInWords names the first few of many.
func listedInWords(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// missingMachines finds servers that are named, by a configuration or as nodes of the store, and whose folder is not
// among the sources of this run or an earlier one.
func (p *planner) missingMachines() []Missing {
	var out []Missing
	said := map[string]bool{}
	add := func(name, by string, stops bool) {
		if key := strings.ToLower(name); !said[key] {
			said[key] = true
			out = append(out, Missing{What: MissingMachine, Machine: name, Stops: stops,
				Why: fmt.Sprintf("%s is named by %s, and its folder was not given", name, by),
				Do:  fmt.Sprintf("give %s=FOLDER, if only to name a folder that is given already", name)})
		}
	}
	for _, server := range p.namedServers() {
		if !p.isGiven(server.name) && (server.role == roleSubscriber || p.publisher == "") {
			add(server.name, server.by, server.role == roleSubscriber)
		}
	}
	for _, node := range p.nodes {
		if !node.Publisher && node.Role != capf.RoleTFTP && !p.isGiven(node.Name) {
			add(node.Name, "the nodes of the store", true)
		}
	}
	return out
}

// isCAPF tells that a certificate is, by its name or its place, that of a CAPF.
func (j *judged) isCAPF() bool {
	return (j.IsCAPFCer || j.NamesCAPF()) && (j.Signature == certfile.Right || j.Signature == certfile.NotVerifiable)
}

// orphans are phones that have, or are known to have had, an LSC of an issuer whose certificate nobody has.
type orphans struct {
	anchors []*x509.Certificate // that LSCs are verified by once the run is done: of the store and of this run
	// served are phones that have had an LSC of ours since and confirmed it; own are the issuers of ours.
	served, own map[string]bool
	// found has the phones by their issuers, and those by the machine that shows it ("" for the store).
	found map[orphanIssuer]map[string]bool
}

type orphanIssuer struct{ machine, issuer string }

// findOrphans looks through the LSCs of the store and of the sources.
func (p *planner) findOrphans(ctx context.Context) error {
	o := &orphans{anchors: p.anchors, served: map[string]bool{}, own: map[string]bool{}, found: map[orphanIssuer]map[string]bool{}}
	p.orphans = o
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

// lookInStore finds those that phones showed or that an earlier run found.
func (o *orphans) lookInStore(ctx context.Context, store PhoneStore) error {
	return store.Certificates(ctx, "", func(c capf.Certificate) error {
		switch {
		case c.Kind != capf.LSC || c.State == capf.CertificateRevoked:
		case c.Source == capf.SourceIssued:
			o.own[c.Issuer] = true
			if c.State == capf.CertificateConfirmed {
				o.served[c.Device] = true
			}
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
	key := orphanIssuer{machine, certificate.Issuer.String()}
	if o.found[key] == nil {
		o.found[key] = map[string]bool{}
	}
	o.found[key][device] = true
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
			What: MissingIssuer, Machine: m.name, Phones: len(devices), Devices: devices[:min(len(devices), mostDevices)], Do: do, Stops: expected,
			Why: fmt.Sprintf("the records of %s say that %s got an LSC there, and no certificate of its CAPF was found that is trusted",
				m.name, plain.Counted(len(devices), "phone")),
		})
	}
	return out
}

// installed gives, by machine, the phones that have an LSC from there, by records that are new to the store. Phones
// that have confirmed one of ours since are not among them.
func (p *planner) installed() map[string][]string {
	out := map[string][]string{}
	for _, g := range p.groups {
		last := ""
		for _, r := range g.records {
			if !r.known && r.machine != last && g.hasInstalled(r) && !p.orphans.served[g.device] {
				last = r.machine
				out[last] = append(out[last], g.device)
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

// serverRole is what a configuration says that a server is.
type serverRole string

const (
	rolePublisher  serverRole = "publisher"
	roleSubscriber serverRole = "subscriber"
)

// namedServer is a server that a configuration names.
type namedServer struct {
	name string
	role serverRole
	by   string // for a person: where
}

// serverWords are the keys and sections of CAPF.cfg whose values name servers, normalised and without digits at the
// end. The format is not public (legacy-layout.md), so only words count that cannot mean anything else; `Server` and
// `Host` alone may be the machine itself.
var serverWords = map[string]serverRole{
	"publisher": rolePublisher, "publishername": rolePublisher, "publisherserver": rolePublisher,
	"publisheraddress": rolePublisher, "publisherhost": rolePublisher, "publisherip": rolePublisher,
	"subscriber": roleSubscriber, "subscribername": roleSubscriber, "subscriberserver": roleSubscriber,
	"subscriberaddress": roleSubscriber, "subscriberhost": roleSubscriber, "subscriberip": roleSubscriber,
	"subscribers": roleSubscriber, "subscribernames": roleSubscriber, "subscriberservers": roleSubscriber,
	"subscriberlist": roleSubscriber, "subscriberaddresses": roleSubscriber,
}

// memberWords are the keys below a section of servers that name them.
var memberWords = []string{"", "name", "server", "servername", "host", "hostname", "address", "ip", "ipaddress", "node"}

// namedServers are the servers that the configurations name, each once, in the order of the files.
func (p *planner) namedServers() []namedServer {
	var out []namedServer
	for _, m := range p.reading.machines {
		for _, setting := range m.Settings() {
			role := roleOf(setting)
			if role == "" {
				continue
			}
			for _, name := range serverNames(setting.Value.Reveal()) {
				if !slices.ContainsFunc(out, func(other namedServer) bool { return strings.EqualFold(other.name, name) }) {
					out = append(out, namedServer{name, role, m.name + " " + setting.Position.String()})
				}
			}
		}
	}
	return out
}

// roleOf tells whether a setting names servers; empty: it does not.
func roleOf(setting cfgfile.Setting) serverRole {
	if setting.Secret || setting.Parameter != "" {
		return ""
	}
	key := strings.TrimRight(legacy.Normalise(setting.Key), "0123456789")
	if role := serverWords[key]; role != "" {
		return role
	}
	if slices.Contains(memberWords, key) {
		return serverWords[strings.TrimRight(legacy.Normalise(setting.Section), "0123456789")]
	}
	return ""
}

// mostServers is how many servers one setting can name: clusters of that time had nine with CallManager.
const mostServers = 64

// serverNames takes a value apart. What can be no name of a server is left out.
func serverNames(value string) []string {
	var out []string
	for _, word := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(",; \t|", r) }) {
		word = strings.Trim(word, `"'`)
		if len(out) < mostServers && isServerName(word) {
			out = append(out, word)
		}
	}
	return out
}

// isServerName holds for names of hosts and for addresses; a bare number is neither.
func isServerName(word string) bool {
	if _, err := netip.ParseAddr(word); err == nil {
		return true
	}
	const most = 253 // of a DNS name
	letters := strings.ContainsFunc(word, func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' })
	return letters && len(word) <= most && !strings.ContainsFunc(word, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	})
}

// isGiven tells whether a server is among the sources, of this run or of an earlier one: by its name, by the first part
// of its DNS name, or by what the nodes of the store know it as.
func (p *planner) isGiven(server string) bool {
	names := []string{server}
	publisher := false
	for _, node := range p.nodes {
		if isNamed(node, server) {
			names = append(names, node.Name, node.DNSName, node.Address.String())
			publisher = publisher || node.Publisher
		}
	}
	if publisher && p.publisher != "" {
		return true
	}
	return slices.ContainsFunc(names, func(name string) bool {
		return slices.ContainsFunc(p.given, func(given string) bool { return sameServer(name, given) })
	})
}

func isNamed(node capf.Node, server string) bool {
	return sameServer(node.Name, server) || sameServer(node.DNSName, server) || node.Address.IsValid() && node.Address.String() == server
}

// sameServer compares names without regard to case; a name stands for the DNS names that begin with it.
func sameServer(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	return strings.EqualFold(a, b) || strings.EqualFold(firstLabel(a), b) || strings.EqualFold(a, firstLabel(b))
}

// firstLabel is a DNS name up to its first dot; addresses have none.
func firstLabel(name string) string {
	if _, err := netip.ParseAddr(name); err == nil {
		return name
	}
	first, _, _ := strings.Cut(name, ".")
	return first
}

// givenMachines are the sources of this run and of those that were applied and stand.
func (p *planner) givenMachines(runs []capf.MigrationRun) []string {
	var out []string
	for _, opened := range p.opened {
		out = append(out, opened.Name)
	}
	for _, run := range runs {
		if !run.RolledBackAt.IsZero() {
			continue
		}
		for _, from := range run.Sources {
			out = append(out, from.Machine)
		}
	}
	return out
}
