package checklist

import (
	"fmt"

	"capf/runtime/capf"
)

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
