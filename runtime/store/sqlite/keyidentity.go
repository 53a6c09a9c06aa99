package sqlite

import (
	"context"
	"database/sql"

	"github.com/mattn/go-sqlite3"

	"capf/runtime/capf"
)

// teach gives the connection that brings a schema up to date what SQL cannot tell.
func teach(pool *sql.DB) error {
	connection, err := pool.Conn(context.Background())
	if err != nil {
		return err
	}
	defer connection.Close()
	return connection.Raw(func(driver any) error {
		return driver.(*sqlite3.SQLiteConn).RegisterFunc("key_identity", keyIdentity, true)
	})
}

// keyIdentity is capf.KeyIdentity of a certificate's key. Where the certificate cannot be read it stays what it was:
// nobody could show that one here, and no phone sends its key.
func keyIdentity(der []byte, before string) string {
	read, err := capf.ReadCertificate(der)
	if err != nil {
		return before
	}
	return read.KeySHA256
}
