package checklist

import (
	"fmt"
	"strings"

	"capf/internal/plain"
	"capf/runtime/capf"
)

// The steps of the checklist that are about phones: of all together, and of one.

// many counts the phones for which something holds.
func (f *Facts) many(holds func(*capf.Phone) bool) (number int) {
	for i := range f.Phones {
		if holds(&f.Phones[i].Phone) {
			number += f.Phones[i].Count
		}
	}
	return number
}

func (f *Facts) all() int { return f.many(func(*capf.Phone) bool { return true }) }

func (f *Facts) withLSC(status capf.LSCStatus) int {
	return f.many(func(p *capf.Phone) bool { return p.LSCStatus(f.At.Now) == status })
}

func (f *Facts) withStatus(status capf.Status) int {
	return f.many(func(p *capf.Phone) bool { return f.status(p) == status })
}

func (f *Facts) status(p *capf.Phone) capf.Status { return p.Last.Status(f.At.Now, f.At.Living) }

// isOpen reports whether an operation waits or is being carried out.
func (f *Facts) isOpen(p *capf.Phone) bool {
	status := f.status(p)
	return status == capf.StatusPending || status == capf.StatusInProgress
}

func (f *Facts) phonesHold() finding {
	if f.all() == 0 {
		return toDo("no phone is in the store", "`capf migrate plan SOURCE…`, `capf bulk apply FILE` or `capf phone add DEVICE`")
	}
	words := []string{plain.Counted(f.all(), "phone")}
	for _, status := range capf.LSCStatuses {
		if number := f.withLSC(status); number > 0 {
			words = append(words, fmt.Sprintf("LSC %s: %d", status, number))
		}
	}
	for _, status := range []capf.MICStatus{capf.MICPresent, capf.MICNone, capf.MICUnknown} {
		if number := f.many(func(p *capf.Phone) bool { return p.MIC == status }); number > 0 {
			words = append(words, fmt.Sprintf("MIC %s: %d", status, number))
		}
	}
	evidence := strings.Join(words, ", ")
	if f.withLSC(capf.LSCUnknown) > 0 {
		return unknown(evidence, "a Troubleshoot finds out: `capf report --lsc-status unknown`, `capf phone set DEVICE --operation troubleshoot`")
	}
	return done(evidence)
}

// lacks reports whether a phone is known to have no valid LSC, without anything being done about it. One whose
// LSC was deleted is as it should be.
func (f *Facts) lacks(p *capf.Phone) bool {
	status := p.LSCStatus(f.At.Now)
	deleted := p.Last != nil && p.Last.Operation == capf.OperationDelete && f.status(p) == capf.StatusSuccess
	return (status == capf.LSCExpired || status == capf.LSCNone && !deleted) && !f.isOpen(p)
}

func (f *Facts) operations() finding {
	const set = "`capf phone set DEVICE --operation install`, or many by `capf bulk apply FILE`"
	never := f.many(func(p *capf.Phone) bool { return p.Last == nil })
	lacking := f.many(f.lacks)
	open := f.many(f.isOpen)
	switch {
	case f.all() == 0:
		return toDo("no phone is in the store", "see step 1.1 of `capf checklist`")
	case lacking > 0:
		return toDo(plain.Counted(lacking, "phone")+" without a valid LSC and without an operation", set+" (`capf report --lsc-status none`, `expired`)")
	case never == f.all():
		return toDo("no operation was ever set", set)
	}
	evidence := plain.Counted(open, "operation") + " open"
	if idle := f.many(func(p *capf.Phone) bool { return p.LSCStatus(f.At.Now) == capf.LSCUnknown && !f.isOpen(p) }); idle > 0 {
		return unknown(fmt.Sprintf("%s; %s of which no LSC is known, and nothing is set", evidence, plain.Counted(idle, "phone")), set)
	}
	return done(evidence + "; every other phone has an LSC, or none by choice")
}

// waitingForString counts the operations that somebody has to type a string for.
func (f *Facts) waitingForString() int {
	return f.many(func(p *capf.Phone) bool { return f.isOpen(p) && p.Last.AuthMode == capf.AuthByString })
}

func (f *Facts) report() finding {
	if waiting := f.waitingForString(); waiting > 0 {
		return unknown(plain.Counted(waiting, "authentication string")+" for the people at the phones", "`capf report --csv FILE --status pending`, to be kept in a safe place")
	}
	return done("no authentication string waits to be given to anybody")
}

func (f *Facts) stringsEntered() finding {
	if waiting := f.waitingForString(); waiting > 0 {
		return toDo(plain.Counted(waiting, "phone")+" waiting for a string",
			"on the phone: Settings, Security Configuration, LSC, Update, the string, Submit; before that `capf checklist DEVICE`")
	}
	return done("no phone waits for a string")
}

func (f *Facts) succeeded() finding {
	var words []string
	for _, status := range []capf.Status{capf.StatusSuccess, capf.StatusPending, capf.StatusInProgress, capf.StatusFailed, capf.StatusExpired} {
		words = append(words, fmt.Sprintf("%s: %d", status, f.withStatus(status)))
	}
	evidence := strings.Join(words, ", ")
	switch {
	case f.withStatus(capf.StatusFailed) > 0:
		return toDo(evidence, "`capf report --status failed`, and for each `capf phone show DEVICE`, which says why")
	case f.withStatus(capf.StatusExpired) > 0:
		return toDo(evidence, "`capf report --status expired`, and set them again")
	case f.many(f.isOpen) > 0:
		return toDo(evidence, "`capf report --status pending`; `capf phone show DEVICE` says why a phone has not called")
	case f.withStatus(capf.StatusSuccess) == 0:
		return toDo("no operation has succeeded yet", "see step 6 of `capf checklist`")
	}
	return done(evidence)
}

// Device gives the list for one phone before its authentication string is typed (capf-guide.md, F, the second
// paragraph, in its order).
func Device(f *Facts, story *capf.Story) []Step {
	return []Step{
		f.list().step("1", "the CAPF certificate is in the trust list"),
		f.inFolders().step("2", "and in the certificate folder of the servers"),
		f.service().step("3", "the CAPF service runs"),
		f.publisherRuns().step("4", "the publisher runs"),
		signedImage(story).step("5", "the phone has a signed image"),
		unknown("the CallManager knows that", "see the phone's page there").step("6", "the phone is registered"),
		nonSecure(story).step("7", "its security mode is non-secure"),
		f.awaitsString(story).step("8", "an operation by authentication string is pending"),
	}
}

func (f *Facts) publisherRuns() finding {
	node := f.publisher()
	if node == nil {
		return unknown("no server is known as the publisher", "`capf node add NAME --publisher`")
	}
	if f.isPublisher() {
		return done("it is this machine, " + node.Name)
	}
	for _, one := range f.Servers {
		if one.Node == node.Name && one.List == unreachable {
			return unknown("the folders of "+node.Name+" cannot be read", "see whether it runs")
		}
	}
	return unknown(node.Name+" is another machine", "see that it runs")
}

// signedImage goes by that an image which carries out CAPF sessions is one of 4.0 or later, and those are signed.
func signedImage(story *capf.Story) finding {
	const look = "on the phone: Settings, Model Information: see that its image is a signed one"
	if at := story.Phone.LastSession; !at.IsZero() {
		return done("it has carried out a CAPF session, last at " + capf.FormatTime(at))
	}
	if address := story.LastAddress(); address != "" {
		return unknown("somebody has called in its name from "+address, look)
	}
	return unknown("it has never called", look)
}

func nonSecure(story *capf.Story) finding {
	mode := story.Phone.SecurityMode
	if !mode.IsSecure() {
		return done(string(mode))
	}
	device := story.Phone.Device
	return toDo(fmt.Sprintf("%s: it does not register before its session is over, and nobody could press the key", mode),
		fmt.Sprintf("`capf phone set %s --security-mode non-secure`, there and in the CallManager; or `--auth null-string`", device))
}

func (f *Facts) awaitsString(story *capf.Story) finding {
	phone := &story.Phone
	diagnosis := story.Diagnose(f.At)
	set := fmt.Sprintf("`capf phone set %s --operation install --auth authentication-string`", phone.Device)
	switch {
	case !f.isOpen(phone):
		return toDo("nothing is pending: "+diagnosis.Text, set)
	case phone.Last.AuthMode != capf.AuthByString:
		return toDo(fmt.Sprintf("the %s goes by %s: no string is asked for", phone.Last.Operation, phone.Last.AuthMode), set+", or reset the phone as it is")
	case f.status(phone) == capf.StatusInProgress:
		return done(diagnosis.Text)
	}
	return done(fmt.Sprintf("%s until %s; %s", phone.Last.Operation, capf.FormatTime(phone.Last.CompletesBy), diagnosis.Text))
}
