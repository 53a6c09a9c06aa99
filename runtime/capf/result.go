package capf

import "strconv"

// Result is the number that the log and the report give for an outcome or an attempt. These are not the
// reasons of the wire.
type Result int

// The result codes.
const (
	ResultSuccess            Result = 0
	ResultFetchedNone        Result = 1 // fetched, no certificate
	ResultFailed             Result = 2
	ResultInvalidAuthString  Result = 3
	ResultInvalidLSC         Result = 4
	ResultInvalidMIC         Result = 5
	ResultInvalidCredentials Result = 6
	ResultCommunication      Result = 7
	ResultTimedOut           Result = 8
	ResultTooLate            Result = 11 // asked for by the user after the deadline
)

var resultWords = map[Result]string{
	ResultSuccess:            "success",
	ResultFetchedNone:        "fetched, no certificate",
	ResultFailed:             "failed",
	ResultInvalidAuthString:  "invalid authentication string",
	ResultInvalidLSC:         "invalid LSC",
	ResultInvalidMIC:         "invalid MIC",
	ResultInvalidCredentials: "invalid credentials",
	ResultCommunication:      "phone communication error",
	ResultTimedOut:           "timed out",
	ResultTooLate:            "too late",
}

// String gives the words of the log.
func (r Result) String() string {
	if words, known := resultWords[r]; known {
		return words
	}
	return "result " + strconv.Itoa(int(r))
}
