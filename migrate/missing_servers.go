package migrate

import (
	"net/netip"
	"slices"
	"strings"

	"capf/legacy"
	"capf/legacy/cfgfile"
	"capf/runtime/capf"
)

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
