package main

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/encoding/charmap"
)

const (
	capfFolder         = "/Program Files/Cisco/CAPF/"
	certificatesFolder = "/Program Files/Cisco/Certificates/"
)

// cluster is a publisher on which CAPF ran first, and two subscribers on which it ran later, each with a CAPF
// certificate of its own. One phone moved from the publisher to a subscriber; one is recorded on both subscribers in
// the same words. Nothing in it is a conflict.
func cluster(files tree) error {
	files["cluster/publisher"+capfFolder+"CAPF.phone"] = publisherPhones()
	phones, err := firstSubscriberPhones()
	if err != nil {
		return err
	}
	files["cluster/subscriber-1"+capfFolder+"CAPF.phone"] = phones
	files["cluster/subscriber-2"+capfFolder+"capf.PHONE"] = secondSubscriberPhones()
	for _, machine := range []string{"publisher", "subscriber-1", "subscriber-2"} {
		files["cluster/"+machine+capfFolder+"CAPF.cfg"] = configuration(machine)
	}
	return clusterCertificates(files)
}

// Phones that are recorded on two machines, by their numbers.
const (
	movedPhone = 3
	samePhone  = 40
)

// publisherPhones are those of the first generation, cut by commas; the last line is torn.
func publisherPhones() []byte {
	var out strings.Builder
	out.WriteString("# CAPF 1.0(1) phone records\n")
	out.WriteString("Device Name,Operation,Status,Status Time,Authentication Mode,Authentication String,Key Size,Description\n")
	for number := range 13 {
		one := settledPhone(number, rooms[number%len(rooms)])
		if number == 0 {
			one.state, one.mode = done, byNull
		}
		if !one.at.IsZero() {
			one.at = one.at.AddDate(-1, -2, 0)
		}
		out.WriteString(row(one, ",") + "\n")
	}
	torn := row(settledPhone(13, "Archive"), ",")
	out.WriteString(torn[:34])
	return []byte(out.String())
}

// firstSubscriberPhones are cut by semicolons, in CP1252 with CRLF, and end with 0x1A. Three lines cannot be read.
func firstSubscriberPhones() ([]byte, error) {
	lines := []string{
		"Device Name;Operation;Status;Status Time;Authentication Mode;Authentication String;Key Size;Description;location",
		row(phone{
			device: device(movedPhone), operation: install, state: pending, mode: byString, size: "1024",
			text: authenticationString(movedPhone), description: "M. Rossi (moved)", at: moment(60),
		}, ";") + ";Floor 4",
	}
	for number := 14; number < 26; number++ {
		lines = append(lines, row(pendingPhone(number, install, people[number%len(people)]), ";")+";Floor 1")
	}
	for number := 26; number <= samePhone; number++ {
		lines = append(lines, row(settledPhone(number, people[number%len(people)]), ";")+";Floor 2")
	}
	unknown := row(settledPhone(70, "Fax"), ";")
	impossible := strings.Replace(row(settledPhone(69, "Kiosk"), ";"), "2005-07-17", "2005-02-30", 1)
	lines = append(lines,
		strings.Replace(unknown, nothing, "Instal", 1)+";Floor 3",
		row(settledPhone(71, "two columns short"), ";"),
		impossible+";Floor 3",
	)
	for number := 72; number < 79; number++ {
		lines = append(lines, row(settledPhone(number, people[number%len(people)]), ";")+";Floor 3")
	}
	text, err := charmap.Windows1252.NewEncoder().String(strings.Join(lines, "\r\n") + "\r\n")
	return []byte(text + "\x1a"), err
}

// row is a record as one line; the quotes are those that Description needs for its commas.
func row(one phone, separator string) string {
	return strings.Join([]string{
		one.device, one.operation, one.state, stamp(one.at), one.mode, one.text, one.size, `"` + one.description + `"`,
	}, separator)
}

func stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Format(time.DateTime)
}

// secondSubscriberPhones are blocks of key=value with CRLF; MAC addresses stand for the devices. One block cannot be
// read for its key size, another for a line that is none.
func secondSubscriberPhones() []byte {
	var phones []phone
	for number := 41; number < 47; number++ {
		phones = append(phones, pendingPhone(number, install, rooms[number%len(rooms)]))
	}
	phones = append(phones, pendingPhone(47, remove, "Old lobby"), pendingPhone(48, troubleshoot, "Courtyard"))
	same := settledPhone(samePhone, people[samePhone%len(people)])
	phones = append(phones, same)
	for number := 49; number < 66; number++ {
		phones = append(phones, settledPhone(number, rooms[number%len(rooms)]))
	}
	size := settledPhone(66, "Key size nobody has")
	size.size = "1000"
	lines := []string{"; phone records of subscriber-2", ""}
	for _, one := range append(phones, size) {
		lines = append(lines, block(one)...)
	}
	damaged := block(settledPhone(68, "Gate"))
	damaged[2] = "stat"
	lines = append(lines, damaged...)
	return []byte(strings.Join(lines, "\r\n"))
}

// block is a record as lines, with an empty one at its end.
func block(one phone) []string {
	mac := strings.TrimPrefix(one.device, "SEP")
	lines := []string{"device=" + strings.Join([]string{
		mac[0:2], mac[2:4], mac[4:6], mac[6:8], mac[8:10], mac[10:12],
	}, ":")}
	for _, pair := range [][2]string{
		{"operation", one.operation}, {"state", one.state}, {"status time", stamp(one.at)},
		{"authentication mode", one.mode}, {"authentication string", one.text}, {"key size", one.size},
		{"description", one.description},
	} {
		if pair[1] != "" {
			lines = append(lines, pair[0]+"="+pair[1])
		}
	}
	if one.device == device(samePhone) {
		lines = append(lines, "location=Floor 2")
	}
	return append(lines, "")
}

// configuration is the same for all machines, but for the names; one line of the publisher's is not a setting.
func configuration(machine string) []byte {
	lines := []string{
		"; CAPF configuration of " + machine,
		"[General]",
		"CertificateIssuer=CAPF",
		"DurationOfCertificateValidity=5",
		"KeySize=1024",
		"MaximumKeyGenerationTime=30",
		"MaximumKeyGenerationAttempts=3",
		"",
		"[Network]",
		"CAPFPhonePort=3804",
		"SCEPPortNumber=80",
		"CertificateAuthorityAddress=",
		"",
		"[Trace]",
		"TraceLevel=2",
		`TraceFolder="C:\Program Files\Cisco\Trace\CAPF"`,
		"TraceUser=capftrace",
		"TracePassword=notreallysecret",
	}
	if machine == "publisher" {
		lines = append(lines, "do not edit by hand")
	}
	return []byte(strings.Join(lines, "\r\n") + "\r\n")
}

// conflict is two machines that cannot be ordered: one phone with equal times and another outcome, one 20 hours apart.
func conflict(files tree) {
	for i, machine := range []string{"east", "west"} {
		equal, near := settledPhone(80, "Front desk"), settledPhone(85, "Back desk")
		if i == 1 {
			equal.state, near.mode = failed, byNull
			near.at = near.at.Add(20 * time.Hour)
		}
		lines := []string{
			"Device Name,Operation,Status,Status Time,Authentication Mode,Authentication String,Key Size,Description",
			row(equal, ","), row(near, ","), row(settledPhone(90+i, fmt.Sprintf("Desk %d", i)), ","),
		}
		files["conflict/"+machine+"/CAPF.phone"] = []byte(strings.Join(lines, "\n") + "\n")
	}
}
