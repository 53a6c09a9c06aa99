package main

import (
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3"
)

// daemonTable is the newest form of the table (package usecallmanager).
const daemonTable = `CREATE TABLE devices (device_name VARCHAR(32) PRIMARY KEY, operation VARCHAR(16), authentication VARCHAR(16),
	password VARCHAR(16), key_size INTEGER, curve_name VARCHAR(16), certificate TEXT, serial_number VARCHAR(64), not_valid_before TIMESTAMP,
	not_valid_after TIMESTAMP)`

// daemonPhones are the phones of a usecallmanager daemon: what is to be done, by which authentication, and how many of
// them have an LSC.
const (
	daemonPhones = 12
	daemonIssued = 4
)

// daemonDevice is of a maker's block that the cluster does not have.
func daemonDevice(number int) string { return fmt.Sprintf("SEP0019E8%06X", 0x4A00+number*37) }

// daemon is a folder of a usecallmanager daemon: its database, and the identity that it issues LSCs with, which has no
// right to sign CRLs. One row is not understood.
func daemon(files tree) error {
	identity, err := selfSigned("CAPF-7B44E0D1", 2048, 2021, 2040)
	if err != nil {
		return err
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(identity.key)})
	files["usecallmanager/capf.pem"] = append(inPEM(identity.der), key...)
	files["usecallmanager/capf.db"], err = inDatabase(func(database *sql.DB) error {
		for number := range daemonPhones {
			if err := daemonRow(database, identity, number); err != nil {
				return err
			}
		}
		_, err := database.Exec(`INSERT INTO devices (device_name, operation) VALUES ('SEP0019E8000000', 'reboot')`)
		return err
	})
	return err
}

func daemonRow(database *sql.DB, identity *authority, number int) error {
	operation, authentication := []string{"none", "install", "fetch", "delete"}[number%4], []string{"no password", "password", "certificate"}[number%3]
	var password, size, curve, certificate, serial, from, until any
	if authentication == "password" {
		password = authenticationString(number)
	}
	if size = 2048; number%5 == 4 {
		size, curve = nil, "secp384r1"
	}
	if number < daemonIssued {
		der, err := identity.issue(daemonDevice(number), moment(number).AddDate(19, 0, 0))
		if err != nil {
			return err
		}
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		const layout = "2006-01-02 15:04:05"
		certificate, serial = string(inPEM(der)), parsed.SerialNumber.Text(16)
		from, until = parsed.NotBefore.UTC().Format(layout), parsed.NotAfter.UTC().Format(layout)
	}
	_, err := database.Exec(`INSERT INTO devices VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, daemonDevice(number), operation, authentication, password,
		size, curve, certificate, serial, from, until)
	return err
}

// inDatabase gives the file of a database that a function has filled.
func inDatabase(fill func(*sql.DB) error) ([]byte, error) {
	folder, err := os.MkdirTemp("", "sample-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "capf.db")
	database, err := sql.Open("sqlite3", path)
	if err != nil {
		return nil, err
	}
	if _, err = database.Exec(daemonTable); err == nil {
		err = fill(database)
	}
	if failed := database.Close(); err == nil {
		err = failed
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// lists are phones as a CallManager lists them: a CAPF report, and a bulk export with a part of the same phones.
func lists(files tree) {
	report := []string{"Device Name,Device Description,Certificate Operation,Certificate Operation Status,Authentication Mode," +
		"Authentication String,Key Size (Bits),Operation Completes By,Security Profile"}
	for number := range 8 {
		name := fmt.Sprintf("SEP001E4A%06X", 0x5500+number*41)
		switch number % 3 {
		case 0:
			report = append(report, fmt.Sprintf(`%s,"Stra%se %d, Empfang",Install/Upgrade,Operation Pending,By Authentication String,%s,2048,2026:12:24:%02d,Standard`,
				name, "\xdf", number, authenticationString(number), 10+number))
		case 1:
			report = append(report, name+",'=Lobby,No Pending Operation,Upgrade Success,By Null String,,1024,,Standard")
		default:
			report = append(report, name+",,No Pending Operation,Delete Failed,By Existing Certificate (precedence to LSC),,512,,Standard")
		}
	}
	report = append(report, "SEP001E4A00FFFF,,Renew,Operation Pending,By Fax,,2048,,Standard")
	files["lists/capf-report.csv"] = []byte(strings.Join(report, "\r\n") + "\r\n")
	export := "sep=;\r\nDevice Name;Description;Device Pool;Certificate Operation;Authentication Mode;Key Order;RSA Key Size (Bits);EC Key Size (Bits)\r\n" +
		"SEP001E4A00AA01;\"First line\nand second\";Default;Install/Upgrade;By Null String;RSA Only;3072;384\r\n" +
		"CSFALICE;Alice;Default;Install/Upgrade;By Null String;EC Only;2048;384\r\n"
	files["lists/bulk-export.csv"] = []byte("\xef\xbb\xbf" + export)
}
