package ctl

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// How long before the end of a certificate an administrator is told: a list, the restarts and the resets that go with
// it want to be planned; and once more when it presses.
const (
	ExpiresSoon  = 90 * 24 * time.Hour
	ExpiresShort = 30 * 24 * time.Hour
)

// ReminderKind says what a reminder is about.
type ReminderKind string

// What there is to remind of.
const (
	RemindCAPF     ReminderKind = "capf-missing" // the CAPF certificate is not in the list (guide A1, A7)
	RemindOutdated ReminderKind = "outdated"     // a new list would have other records than this one
	RemindExpired  ReminderKind = "expired"
	RemindShort    ReminderKind = "expires-within-30-days"
	RemindSoon     ReminderKind = "expires-within-90-days"
)

// Reminder is something that an administrator should do about a list.
type Reminder struct {
	Kind ReminderKind
	Text string // one line, with what to do
}

// String gives the text.
func (r Reminder) String() string { return r.Text }

// Remind compares a list with what a new one would be made of, and looks at the ends of their certificates. The list
// may be nil: there is none yet. The contents may be nil: what a new one would be made of is not known. The most urgent
// reminders come first.
func Remind(list *File, contents *Contents, now time.Time) []Reminder {
	var reminders []Reminder
	if list != nil && contents != nil {
		reminders = contents.remindOfMissing(list)
	}
	var ends []certificateEnd
	if contents != nil {
		ends = contents.ends()
	}
	if list != nil {
		ends = append(ends, list.ends()...)
	}
	slices.SortStableFunc(ends, func(a, b certificateEnd) int { return a.certificate.NotAfter.Compare(b.certificate.NotAfter) })
	seen := map[string]bool{}
	for _, end := range ends {
		if key := string(end.certificate.Raw); !seen[key] {
			seen[key] = true
			reminders = append(reminders, end.remind(now)...)
		}
	}
	return reminders
}

// remindOfMissing tells what stands in the contents and not in the list, and the other way round.
func (c *Contents) remindOfMissing(list *File) []Reminder {
	var reminders []Reminder
	for _, server := range c.CAPF {
		if !list.Has(RoleCAPF, server.Certificate) {
			reminders = append(reminders, Reminder{RemindCAPF, "the list does not hold this CAPF certificate (serial " + serialOf(server.Certificate) +
				"): phones will refuse it until `capf ctl build` and `capf ctl distribute` have been run"})
		}
	}
	var missing []string
	for _, token := range c.Tokens {
		if !list.Has(RoleSAST, token.Certificate) {
			missing = append(missing, "token "+quoted(token.Name))
		}
	}
	for _, server := range c.servers() {
		if !list.Has(server.Role, server.Certificate) {
			missing = append(missing, fmt.Sprintf("%s %s", server.Role, quoted(server.Name)))
		}
	}
	for _, server := range c.TVS {
		if !list.Has(RoleTrustVerificationService, server.Certificate) {
			missing = append(missing, "tvs "+quoted(server.Name))
		}
	}
	if len(missing) > 0 {
		reminders = append(reminders, Reminder{RemindOutdated, "the list lacks, or has another certificate of: " + strings.Join(missing, ", ") +
			"; bring it up to date with `capf ctl build` and `capf ctl distribute`"})
	}
	return append(reminders, c.remindOfSurplus(list)...)
}

// remindOfSurplus names the servers of the list that the cluster has no more. Tokens are left out: one that is gone is
// taken out with a decision of its own.
func (c *Contents) remindOfSurplus(list *File) []Reminder {
	var surplus []string
	for i := range list.Records {
		record := &list.Records[i]
		if record.Role.OfNode() && !record.IsHash() && !slices.ContainsFunc(c.servers(), func(server Server) bool {
			return server.Role == record.Role && server.Certificate != nil && string(server.Certificate.Raw) == string(record.Certificate)
		}) {
			surplus = append(surplus, fmt.Sprintf("%s %s", record.Role, quoted(record.DNSName)))
		}
	}
	if len(surplus) == 0 {
		return nil
	}
	return []Reminder{{RemindOutdated, "the list has servers, or certificates of theirs, that the cluster has no more: " + strings.Join(surplus, ", ") +
		"; phones trust them until `capf ctl build` and `capf ctl distribute` have been run"}}
}

// Has tells whether the list has the certificate, or its hash, in a role. Nil is in every list.
func (f *File) Has(role Role, certificate *x509.Certificate) bool {
	if certificate == nil {
		return true // there is nothing to miss; Contents.Validate speaks of it
	}
	return slices.ContainsFunc(f.RecordsOf(role), func(record *Record) bool {
		if record.IsHash() {
			return record.FindHashed([]*x509.Certificate{certificate}) != nil
		}
		return string(record.Certificate) == string(certificate.Raw)
	})
}

// certificateEnd is a certificate whose end matters, and whose it is.
type certificateEnd struct {
	who         string
	renew       string // what to do about it
	certificate *x509.Certificate
}

const (
	renewNode  = "renew it on that server, then `capf node set NAME --certificate FILE` with the new one, and `capf ctl build`"
	renewTVS   = "renew it on that server, and give the new one to `capf node remove` and `capf node add`, then `capf ctl build --itl`"
	renewCAPF  = "see `capf ca renew`"
	renewToken = "add another token in time (`capf ctl build --add-token`), so that two can sign"
	renewOther = "renew it, then build a list with the new one"
)

func (c *Contents) ends() []certificateEnd {
	var ends []certificateEnd
	add := func(who, renew string, certificate *x509.Certificate) {
		if certificate != nil {
			ends = append(ends, certificateEnd{who, renew, certificate})
		}
	}
	for _, server := range c.CAPF {
		add("CAPF", renewCAPF, server.Certificate)
	}
	for _, server := range c.Servers {
		add("node "+quoted(server.Name), renewNode, server.Certificate)
	}
	for _, server := range c.TVS {
		add("the trust verification service of node "+quoted(server.Name), renewTVS, server.Certificate)
	}
	for _, token := range c.Tokens {
		add("token "+quoted(token.Name), renewToken, token.Certificate)
	}
	return ends
}

// ends gives the certificates of a list that can be read.
func (f *File) ends() []certificateEnd {
	renew := map[Role]string{RoleSAST: renewToken, RoleCAPF: renewCAPF, RoleCCM: renewNode, RoleCCMTFTP: renewNode, RoleTFTP: renewNode,
		RoleTrustVerificationService: renewTVS}
	var ends []certificateEnd
	for i := range f.Records {
		record := &f.Records[i]
		certificate, err := record.ParseCertificate()
		if err != nil {
			continue // Verify speaks of it
		}
		who := fmt.Sprintf("record %d of the list, %s %s", record.Number, record.Role, quoted(cmp.Or(record.DNSName, record.ID.Subject)))
		ends = append(ends, certificateEnd{who, cmp.Or(renew[record.Role], renewOther), certificate})
	}
	return ends
}

// remind gives one reminder where the end is near or past, and none otherwise.
func (e certificateEnd) remind(now time.Time) []Reminder {
	left := e.certificate.NotAfter.Sub(now)
	kind, when := RemindSoon, "ends on "
	switch {
	case left < 0:
		kind, when = RemindExpired, "ended on "
	case left < ExpiresShort:
		kind = RemindShort
	case left >= ExpiresSoon:
		return nil
	}
	return []Reminder{{kind, fmt.Sprintf("the certificate of %s (serial %s) %s%s: %s", e.who, serialOf(e.certificate), when,
		e.certificate.NotAfter.UTC().Format(time.RFC3339), e.renew)}}
}

func serialOf(certificate *x509.Certificate) string {
	return fmt.Sprintf("%x", SerialBytes(certificate))
}
