package ca

import (
	"crypto"
	"crypto/rsa"
	"fmt"
	"io"
	"runtime"
	"sync"
)

// crew does the operations with private keys: as many goroutines as there are cores, for all authorities of the
// process. The arithmetic of RSA wants more stack than all the rest of a session. Done here it leaves the
// goroutines of thousands of waiting phones small, and no session begins by growing its own.
var crew = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	for range runtime.GOMAXPROCS(0) {
		go func() {
			for do := range work {
				do()
			}
		}()
	}
	return work
})

// byCrew has one operation done and waits for it. A panic in it is its error: it must not end the process.
func byCrew(operation func() ([]byte, error)) (out []byte, err error) {
	done := make(chan struct{})
	crew() <- func() {
		defer close(done)
		defer func() {
			if problem := recover(); problem != nil {
				out, err = nil, fmt.Errorf("private key operation: %v", problem)
			}
		}()
		out, err = operation()
	}
	<-done
	return out, err
}

// crewKey is an RSA key of which the crew does the work. It is a crypto.Signer, and a crypto.Decrypter for the
// RSA key exchange of old phones.
type crewKey struct{ key *rsa.PrivateKey }

// working gives the form of a key that the service works with. A key that is not held by this process (in a
// token) does its work elsewhere and stays as it is.
func working(signer crypto.Signer) crypto.Signer {
	if key, ok := signer.(*rsa.PrivateKey); ok {
		return crewKey{key}
	}
	return signer
}

func (k crewKey) Public() crypto.PublicKey { return k.key.Public() }

func (k crewKey) Sign(random io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	return byCrew(func() ([]byte, error) { return k.key.Sign(random, digest, options) })
}

func (k crewKey) Decrypt(random io.Reader, message []byte, options crypto.DecrypterOpts) ([]byte, error) {
	return byCrew(func() ([]byte, error) { return k.key.Decrypt(random, message, options) })
}
