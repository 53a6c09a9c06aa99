package migrate

import (
	"fmt"
	"slices"
	"strings"

	"capf/internal/plain"
	"capf/runtime/capf"
)

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

// missing finds all that is missing, in a fixed order. The store has been asked already.
func (p *planner) missing() []Missing {
	claims := p.claims()
	out := slices.Concat(p.missingRecords(claims), p.unreadRecords(), p.missingIssuers(), p.recordsWithoutIssuer(claims), p.missingMachines())
	slices.SortStableFunc(out, func(a, b Missing) int {
		switch {
		case a.Stops == b.Stops:
			return 0
		case a.Stops:
			return -1
		}
		return 1
	})
	return out
}

// claims say which machines CAPF ran on, by its certificates.
type claims struct {
	// home are the digests of CAPF certificates that belong to a machine with phone records.
	home map[string]bool
	// named are the CAPF certificates of each machine, each once.
	named map[string][]*judged
}

// claims follows legacy-layout.md: where CAPF ran its certificate lies in the CAPF folder, and on the publisher it is
// CAPF.cer; that of a usecallmanager daemon is capf.pem. Where neither is there, the only one that names CAPF among those of all services is taken for its own.
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
func (m *machineReading) hasRecords() bool { return len(m.records)+m.kept > 0 }

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
		if files := m.phoneFiles(); len(m.records) == 0 && m.kept > 0 && len(files) > 0 {
			out = append(out, Missing{What: MissingRecords, Machine: m.name, Stops: true,
				Why: fmt.Sprintf("%s has %s in %s, and none was understood", m.name, plain.Counted(m.kept, "line"), listedInWords(files)),
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
