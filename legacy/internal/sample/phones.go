package main

import (
	"fmt"
	"time"
)

// phone is one record as the sample writes it; empty fields are left out.
type phone struct {
	device, operation, state, mode, text, size, description string
	at                                                      time.Time
}

// Words of the guide's screens, which both built-in dialects know.
const (
	install      = "Install/Upgrade"
	remove       = "Delete"
	troubleshoot = "Troubleshoot"
	nothing      = "No Pending Operation"

	pending = "Operation Pending"
	done    = "Upgrade Success"
	failed  = "Upgrade Failed"
	idle    = "None"

	byString = "By Authentication String"
	byNull   = "By Null String"
	byLSC    = "By Existing Certificate (Precedence to LSC)"
)

// prefixes are the first halves of MAC addresses that phones of the time have.
var prefixes = []string{"000AB8", "000D29", "000F8F", "00112F", "0012DA", "00135F"}

// device is the name of a sample phone by its number.
func device(number int) string {
	return fmt.Sprintf("SEP%s%06X", prefixes[number%len(prefixes)], 0x1C40+number*0x3B)
}

// authenticationString is one of 4 to 10 digits, some with leading zeros.
func authenticationString(number int) string {
	lengths := []int{8, 6, 10, 4, 8, 5}
	return fmt.Sprintf("%010d", (number+3)*7_654_321%9_999_999_967)[10-lengths[number%len(lengths)]:]
}

// people have umlauts where the file can hold them.
var people = []string{
	"Jörg Müller", "Anne Schäfer", "Karl-Heinz Groß", "Empfang Köln", "Renée Lefèvre", "Besprechung Süd",
	"Werkstatt Tür 3", "Pförtner", "Ølga Håkansson", "Lager Höhe 2", "Büro Zürich", "Küche",
}

var rooms = []string{
	"Lobby", "Reception", "Conference 2B", "Mail room", "Help desk", "J. Novak", "M. Rossi", "Loading dock",
	"Server room", "A. Petrov", "Canteen", "Training 1",
}

// pendingPhone waits for its operation: every other one by authentication string.
func pendingPhone(number int, operation string, description string) phone {
	out := phone{
		device: device(number), operation: operation, state: pending, mode: byNull, size: "1024",
		description: description, at: moment(number),
	}
	if operation == install && number%2 == 0 {
		out.mode, out.text = byString, authenticationString(number)
	}
	if number%7 == 0 {
		out.size = "2048"
	}
	return out
}

// settledPhone has nothing pending.
func settledPhone(number int, description string) phone {
	out := phone{
		device: device(number), operation: nothing, state: done, mode: byLSC, size: "1024",
		description: description, at: moment(number),
	}
	switch number % 5 {
	case 1:
		out.state, out.mode = failed, byString
	case 2:
		out.state, out.mode, out.size, out.at = idle, byString, "", time.Time{}
	case 3:
		out.size, out.mode = "512", byNull
	}
	if number%17 == 0 {
		out.size = "2048"
	}
	return out
}

// moment is a working hour of 2005 that goes with a phone's number.
func moment(number int) time.Time {
	return time.Date(2005, time.March, 1+number*2, 8+number%9, number*7%60, number*13%60, 0, time.UTC)
}
