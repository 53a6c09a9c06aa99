// Package checklist holds the cluster against the checklist of the guide: table 4-1 (capf-guide.md, F) as a list
// whose steps are done, to do, or not to be known from here, each with its evidence and the next command; and
// for a phone the list that is gone through before an authentication string is typed.
//
// It decides by Facts that somebody else has gathered, and changes nothing.
package checklist

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"capf/internal/plain"
	"capf/runtime/capf"
)

func (f *Facts) tokens() finding {
	var names, silent []string
	for _, one := range f.Tokens {
		names = append(names, one.Name)
		if one.Problem != "" {
			silent = append(silent, one.Name)
		}
	}
	evidence := strings.Join(names, ", ")
	if len(silent) > 0 {
		evidence += "; not at hand to sign: " + strings.Join(silent, ", ")
	}
	switch len(names) {
	case 0:
		return toDo("there is none", "`capf ctl token add NAME --file PEM`, twice: with one lost, the other still signs")
	case 1:
		return toDo("only "+evidence+": were it lost, phones would take no other list", "`capf ctl token add NAME --file PEM`")
	}
	return done(evidence)
}

func (f *Facts) nodes() finding {
	var bare []string
	for _, one := range f.Nodes {
		if len(one.Certificate) == 0 {
			bare = append(bare, one.Name)
		}
	}
	const add = "`capf node add NAME --role ROLE --address IP --certificate FILE --target URL`"
	switch {
	case len(f.Nodes) == 0:
		return toDo("no server is known", add+", the publisher with --publisher")
	case f.publisher() == nil:
		return toDo(plain.Counted(len(f.Nodes), "server")+", none of them the publisher", add+" with --publisher")
	case len(bare) > 0:
		return toDo("without a certificate, and so in no list: "+strings.Join(bare, ", "), "`capf node remove NAME` and "+add)
	}
	return done(fmt.Sprintf("%s, the publisher is %s", plain.Counted(len(f.Nodes), "server"), f.publisher().Name))
}

// list looks at the newest list alone, not at where it is.
func (f *Facts) list() finding {
	const build = "`capf ctl build`, then `capf ctl distribute`"
	switch {
	case f.Identity == nil:
		return toDo("there is no CAPF certificate yet", "see step 3.1 of `capf checklist`")
	case f.List == nil:
		return toDo("there is no trust list", "`capf ctl build`; where phones hold one from before: `capf ctl import FILE` first")
	}
	name := fmt.Sprintf("version %d, signed at %s by %s", f.List.Version, capf.FormatTime(f.List.SignedAt), f.List.Signer)
	switch {
	case f.List.Problem != "":
		return toDo(fmt.Sprintf("version %d: %s", f.List.Version, f.List.Problem), build)
	case !f.List.HoldsIdentity:
		return toDo(fmt.Sprintf("%s, was made without %s, which is in force: phones refuse it", name, f.Identity.Name), build)
	case len(f.List.Lacks) > 0:
		return toDo(fmt.Sprintf("%s, is without %s", name, strings.Join(f.List.Lacks, ", ")), build)
	}
	return done(fmt.Sprintf("CAPF record of %s in the CTL %s", f.Identity.Name, name))
}

// lasting is list, and whether it will be good for a while. For a string that is typed today that does not count.
func (f *Facts) lasting() finding {
	found := f.list()
	if found.state != Done || len(f.List.Ending) == 0 {
		return found
	}
	return toDo(fmt.Sprintf("%s: %s", found.evidence, strings.Join(f.List.Ending, "; ")), "renew what comes to its end, then `capf ctl build` and `capf ctl distribute`")
}

// servers tells by what was read from the servers.
func (f *Facts) servers() finding {
	if len(f.Servers) == 0 {
		return toDo("there is nothing yet that servers should hold", "see steps 4.2 and 4.3 of `capf checklist`")
	}
	lists, certificates := f.held()
	evidence := fmt.Sprintf("CAPF record in the CTL version %d of %s, on %d of %s; the CAPF certificate on %d of %d", f.List.Version,
		capf.FormatTime(f.List.SignedAt), lists, plain.Counted(len(f.Servers), "node"), certificates, len(f.Servers))
	if lists == len(f.Servers) && certificates == len(f.Servers) {
		return done(evidence)
	}
	return toDo(evidence+": "+f.lacking(), f.bring())
}

// held counts the servers that hold the list, and those that hold the CAPF certificate.
func (f *Facts) held() (lists, certificates int) {
	for _, one := range f.Servers {
		if one.List == equal {
			lists++
		}
		if one.Certificates == equal {
			certificates++
		}
	}
	return lists, certificates
}

// bring says what helps servers that do not hold what they should.
func (f *Facts) bring() string { return cmp.Or(f.Advice, "`capf ctl distribute`") }

// lacking names at most a few of the servers that do not hold what they should.
func (f *Facts) lacking() string {
	const most = 5
	var all []string
	for _, one := range f.Servers {
		switch {
		case one.List == equal && one.Certificates == equal:
		case one.Problem != "":
			all = append(all, one.Problem)
		case one.Version > 0:
			all = append(all, fmt.Sprintf("%s: list version %d, certificate %s", one.Node, one.Version, one.Certificates))
		default:
			all = append(all, fmt.Sprintf("%s: list %s, certificate %s", one.Node, one.List, one.Certificates))
		}
	}
	if more := len(all) - most; more > 0 {
		all = append(all[:most], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(all, "; ")
}

// inFolders is the half of servers that concerns the certificate folders.
func (f *Facts) inFolders() finding {
	all := f.servers()
	if _, certificates := f.held(); len(f.Servers) > 0 && certificates == len(f.Servers) {
		return done(fmt.Sprintf("on %d of %s", certificates, plain.Counted(len(f.Servers), "node")))
	}
	return all
}

// restarted goes by what people say: nothing that is seen from here is a sure sign of it.
func (f *Facts) restarted() finding {
	if due := capf.RestartsDue(f.Restarts); len(due) > 0 {
		return unknown("not since they got another list, as far as was said: "+strings.Join(due, ", "),
			"restart their CallManager and TFTP services, then reset the phones, then `capf ctl restarted`")
	}
	var said, last time.Time
	var by string
	for _, one := range f.Restarts {
		if one.DoneAt.After(said) {
			said, by = one.DoneAt, one.DoneBy
		}
	}
	for _, one := range f.Deliveries {
		if one.At.After(last) {
			last = one.At
		}
	}
	switch {
	case !said.IsZero():
		return done(fmt.Sprintf("as %s said at %s; no server got another list since", by, capf.FormatTime(said)))
	case last.IsZero():
		return unknown("nothing was distributed from here", "see step 4.4 of `capf checklist`")
	}
	return unknown("the last distribution was at "+capf.FormatTime(last), "restart the CallManager and TFTP services of all servers, then reset the phones")
}
