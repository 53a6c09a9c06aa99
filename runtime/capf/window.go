package capf

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a zone that was accepted is there on every machine

	"capf/internal/plain"
)

// The maintenance window, and which phones it holds back.

// Window is the maintenance window (A5): the times of the day, on some days of the week, at which phones
// that come by themselves are served. The zero value is none: they are served at any time.
type Window struct {
	days     [7]bool // on which it opens, by time.Weekday
	from, to minute  // of the day; to belongs to the next day unless it is later than from
	zone     *time.Location
	named    bool // the zone is, else it is the publisher's
}

// minute is a time of the day, in minutes from midnight: 0 to 1440.
type minute int

const (
	// WindowNone is the value of ParamWindow without a window.
	WindowNone = "none"

	midnight minute = 24 * 60
)

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} // by time.Weekday

// night is when work is done that belongs into a window where there is none.
const night = "01:00-05:00"

// ParseWindow reads `[DAYS ]HH:MM-HH:MM[ ZONE]`, as `22:00-05:00`, `mon-fri 22:00-05:00` or
// `sat,sun 00:00-24:00 Europe/Rome`. DAYS are those on which it opens, with commas and ranges, all of them
// where none is named. ZONE is a name of the time zone database; without one the times are those of local,
// the publisher's. `none` and nothing are no window.
//
// When the clocks change it goes by what they show: a time that is skipped counts as the moment of the
// change, one that comes twice as its first.
func ParseWindow(text string, local *time.Location) (Window, error) {
	if text == "" || strings.EqualFold(text, WindowNone) {
		return Window{}, nil
	}
	w := Window{days: [7]bool{true, true, true, true, true, true, true}, zone: local}
	words := strings.Fields(text)
	if len(words) > 1 && !strings.Contains(words[0], ":") {
		days, err := parseDays(words[0])
		if err != nil {
			return Window{}, err
		}
		w.days, words = days, words[1:]
	}
	if len(words) == 2 {
		zone, err := parseZone(words[1])
		if err != nil {
			return Window{}, err
		}
		w.zone, w.named, words = zone, true, words[:1]
	}
	if len(words) != 1 {
		return Window{}, errors.New(windowHint)
	}
	var err error
	if w.from, w.to, err = parseTimes(words[0]); err != nil {
		return Window{}, err
	}
	return w, nil
}

const windowHint = "use none, or [DAYS ]HH:MM-HH:MM[ ZONE], as `22:00-05:00`, `mon-fri 22:00-05:00` or `sat,sun 00:00-24:00 Europe/Rome`"

// parseDays reads `mon`, `mon-fri` (also over the end of the week, `sat-mon`) and lists of them.
func parseDays(text string) (days [7]bool, err error) {
	for part := range strings.SplitSeq(strings.ToLower(text), ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, to := slices.Index(dayNames, first), slices.Index(dayNames, last)
		if from < 0 || to < 0 {
			return days, fmt.Errorf("use days as mon, mon-fri or sat,sun; %s", windowHint)
		}
		for day := from; ; day = (day + 1) % 7 {
			days[day] = true
			if day == to {
				break
			}
		}
	}
	return days, nil
}

// parseZone takes no `Local`, which is another zone on another machine, and no path.
func parseZone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" { // time.Local.String() is the zone's own name where $TZ gives one
		return nil, fmt.Errorf("zone %q is not in the time zone database: use a name as Europe/Rome, or UTC", plain.Clip(name))
	}
	return zone, nil
}

func parseTimes(text string) (from, to minute, err error) {
	first, last, isRange := strings.Cut(text, "-")
	from, okFrom := parseMinute(first)
	to, okTo := parseMinute(last)
	switch {
	case !isRange || !okFrom || !okTo || from == midnight:
		return 0, 0, errors.New(windowHint)
	case from == to:
		return 0, 0, errors.New("it closes when it opens; the whole day is 00:00-24:00")
	}
	return from, to, nil
}

// parseMinute reads HH:MM, from 00:00 to 24:00.
func parseMinute(text string) (minute, bool) {
	if len(text) != len("00:00") || text[2] != ':' || !allDigits(text[:2]) || !allDigits(text[3:]) {
		return 0, false
	}
	hour, within := number(text[:2]), number(text[3:])
	at := minute(hour*60 + within)
	return at, within < 60 && at <= midnight
}

// String gives the form that ParseWindow reads. The publisher's zone is left out.
func (w Window) String() string {
	if w.IsZero() {
		return WindowNone
	}
	text := fmt.Sprintf("%s-%s", w.from, w.to)
	if days := w.dayList(); len(days) < len(dayNames) {
		text = strings.Join(days, ",") + " " + text
	}
	if w.named {
		text += " " + w.zone.String()
	}
	return text
}

// dayList names the days, Monday first.
func (w Window) dayList() (names []string) {
	for i := range dayNames {
		if day := (i + 1) % 7; w.days[day] {
			names = append(names, dayNames[day])
		}
	}
	return names
}

func (m minute) String() string { return fmt.Sprintf("%02d:%02d", m/60, m%60) }

// IsZero reports whether there is no window.
func (w Window) IsZero() bool { return w.zone == nil }

// Opening is one time that the window is open.
type Opening struct {
	From, To time.Time // To is not in it
	// Number counts the openings of the window, so that one follows the other without a gap.
	Number int
}

// At gives the opening that holds a moment, and false where the window is closed then. A window that is
// none has no openings.
func (w Window) At(now time.Time) (Opening, bool) {
	for back := range 2 {
		if opening, is := w.opening(now, -back); is && !now.Before(opening.From) && now.Before(opening.To) {
			return opening, true
		}
	}
	return Opening{}, false
}

// Next gives the opening that begins first after a moment.
func (w Window) Next(now time.Time) (Opening, bool) {
	// In the one week there may be no opening, where all of it lies in the hour that summer time skips.
	for ahead := range 16 {
		if opening, is := w.opening(now, ahead); is && opening.From.After(now) {
			return opening, true
		}
	}
	return Opening{}, false
}

// Before gives the opening that ended last, at or before a moment.
func (w Window) Before(now time.Time) (Opening, bool) {
	for back := range 16 {
		if opening, is := w.opening(now, -back); is && !opening.To.After(now) {
			return opening, true
		}
	}
	return Opening{}, false
}

// opening gives what begins that many days after the day of a moment, and false where nothing does.
func (w Window) opening(now time.Time, days int) (Opening, bool) {
	if w.IsZero() {
		return Opening{}, false
	}
	year, month, today := now.In(w.zone).Date()
	day := time.Date(year, month, today+days, 0, 0, 0, 0, time.UTC)
	if !w.days[day.Weekday()] {
		return Opening{}, false
	}
	end := day
	if w.to <= w.from {
		end = day.AddDate(0, 0, 1)
	}
	opening := Opening{From: instant(day, w.from, w.zone), To: instant(end, w.to, w.zone), Number: w.number(day)}
	return opening, opening.To.After(opening.From)
}

// number counts the days of the window up to one, from a Monday long ago.
func (w Window) number(day time.Time) int {
	const secondsADay = 24 * 60 * 60
	sinceMonday := int(day.Unix()/secondsADay) + 3 // 1 January 1970 was a Thursday
	week, within := sinceMonday/7, sinceMonday%7
	rank := 0
	for i := range within {
		if w.days[(i+1)%7] {
			rank++
		}
	}
	return week*len(w.dayList()) + rank
}

// instant gives the moment at which the clocks of a zone first show a time of a day, or pass it where they
// skip it; time.Date leaves open which of two it gives. The day is one in UTC, of which only the date counts.
func instant(day time.Time, at minute, zone *time.Location) time.Time {
	shown := day.Add(time.Duration(at) * time.Minute) // as if the zone were UTC
	year, month, date := shown.Date()
	guess := time.Date(year, month, date, shown.Hour(), shown.Minute(), 0, 0, zone)
	start, end := guess.ZoneBounds() // zero where the clocks never change on that side
	near := []time.Time{guess}
	if !start.IsZero() {
		near = []time.Time{start.Add(-time.Second), guess}
	}
	if !end.IsZero() {
		near = append(near, end)
	}
	for _, side := range near { // the earliest first
		_, offset := side.Zone()
		candidate := shown.Add(-time.Duration(offset) * time.Second).In(zone)
		if _, own := candidate.Zone(); own == offset {
			return candidate
		}
	}
	// Skipped: the guess lies on one side of the change, as far as the clocks go on.
	if wall(guess).After(shown) {
		return start
	}
	return end
}

// wall gives what the clocks show at a moment, as if their zone were UTC.
func wall(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

func windowValue(value string) (string, error) {
	window, err := ParseWindow(value, time.Local)
	if err != nil {
		return "", err
	}
	return window.String(), nil
}

// Window is the maintenance window in the publisher's time (A5).
func (p Parameters) Window() (Window, error) {
	window, err := ParseWindow(p.Get(ParamWindow), time.Local)
	if err != nil {
		return Window{}, &Error{Code: CodeInvalid, Message: "parameter " + ParamWindow + ": " + strconv.Quote(plain.Clip(p.Get(ParamWindow))),
			Hint: "set it anew with `capf parameter set`", Err: err}
	}
	return window, nil
}

// returning is how long a phone whose line broke may need to be back: it tries three times, 30 s apart, and
// each try takes its time (A4).
const returning = 5 * time.Minute

// HasValidLSC reports whether an LSC is known to be in the phone and in its time.
func (p *Phone) HasValidLSC(now time.Time) bool {
	return p.LSCKnown == LSCInstalled && p.LSC != nil && !now.Before(p.LSC.NotBefore) && !now.After(p.LSC.NotAfter)
}

// IsHeldBack reports whether a phone that has authenticated is told that nothing is pending, because the
// maintenance window is closed (guide, *Rules of ours*). Strings that a person typed always go. So do phones
// in authenticated or encrypted mode without a valid LSC: they could not register until it opens. And so
// does one that comes back with an operation which a session began while the window was open (A4): it may
// hold a certificate that it has not confirmed.
func (p *Phone) IsHeldBack(window Window, now time.Time, parameters Parameters) bool {
	if !p.waitsForWindow(window, now) {
		return false
	}
	if _, open := window.At(now); open {
		return false
	}
	last, was := window.Before(now)
	isReturning := was && !p.LastSession.Before(last.From) && p.LastSession.Before(last.To) &&
		!p.LastSession.Before(p.Last.CreatedAt) && now.Before(last.To.Add(parameters.KeyGenerationTime()+returning))
	return !isReturning
}

// waitsForWindow reports whether what is pending for the phone belongs into the maintenance window.
func (p *Phone) waitsForWindow(window Window, now time.Time) bool {
	return !window.IsZero() && p.comesByItself(now) && (!p.SecurityMode.IsSecure() || p.HasValidLSC(now))
}

// comesByItself reports whether the phone calls after a reset, without a person, for what is pending.
func (p *Phone) comesByItself(now time.Time) bool {
	return p.Last.IsPending(now) && p.Last.AuthMode != AuthByString
}

// IsResetDue reports whether the service has the phone reset in an opening of the maintenance window, or of
// the night where there is none. After "no action" a phone does not come back by itself, so that one is due
// for everything that waited for the window; and for what automatic renewal has set, of which nobody else
// knows. What a person sets while the window is open is reset by that person.
func (p *Phone) IsResetDue(window Window, opening Opening, now time.Time) bool {
	if !p.comesByItself(now) || !p.LastSession.Before(opening.From) && !p.LastSession.Before(p.Last.CreatedAt) {
		return false
	}
	return p.Last.CreatedBy == ActorRenewal || p.waitsForWindow(window, now) && p.Last.CreatedAt.Before(opening.From)
}
