import ipaddr from "ipaddr.js"
import assert from "node:assert/strict"
import { it } from "vitest"
import { whyNotPublic } from "../../src/domain/PublicAddress.ts"

const table: ReadonlyArray<readonly [address: string, why: string | undefined]> = [
  ["1.1.1.1", undefined],
  ["9.255.255.255", undefined],
  ["11.0.0.0", undefined],
  ["100.63.255.255", undefined],
  ["100.128.0.0", undefined],
  ["172.15.255.255", undefined],
  ["172.32.0.0", undefined],
  ["192.167.255.255", undefined],
  ["198.20.0.0", undefined],
  ["223.255.255.255", undefined],
  ["0.0.0.0", "unspecified"],
  ["0.1.2.3", "unspecified"],
  ["10.0.0.1", "private"],
  ["100.64.0.1", "shared with a carrier"],
  ["100.100.100.200", "shared with a carrier"],
  ["127.0.0.1", "loopback"],
  ["127.255.255.254", "loopback"],
  ["168.63.129.16", "a cloud's metadata"],
  ["169.254.169.254", "link-local"],
  ["172.16.0.1", "private"],
  ["172.31.255.255", "private"],
  ["192.0.0.192", "reserved"],
  ["192.0.2.1", "documentation"],
  ["192.88.99.1", "6to4 relay"],
  ["192.168.1.1", "private"],
  ["198.18.0.1", "benchmarking"],
  ["198.19.255.255", "benchmarking"],
  ["224.0.0.1", "multicast"],
  ["240.0.0.1", "reserved"],
  ["255.255.255.255", "reserved"],
  ["2606:4700:4700::1111", undefined],
  ["2a00:1450:4001::200e", undefined],
  ["::", "unspecified"],
  ["::1", "loopback"],
  ["::ffff:127.0.0.1", "IPv4 in IPv6"],
  ["::ffff:1.1.1.1", "IPv4 in IPv6"],
  ["::7f00:1", "IPv4 in IPv6"],
  ["64:ff9b::7f00:1", "IPv4 behind NAT64"],
  ["64:ff9b:1::1", "IPv4 behind NAT64"],
  ["100::1", "not global"],
  ["2001::1", "reserved, or IPv4 in Teredo"],
  ["2001:db8::1", "documentation"],
  ["2002:7f00:1::", "IPv4 in 6to4"],
  ["3fff::1", "documentation"],
  ["5f00::1", "not global"],
  ["fc00::1", "private"],
  ["fd00:ec2::254", "private"],
  ["fe80::1", "link-local"],
  ["fe80::1%eth0", "link-local"],
  ["fec0::1", "site-local"],
  ["ff02::1", "multicast"]
]

for (const [address, why] of table) {
  it(`${address}: ${why ?? "public"}`, () => {
    assert.equal(whyNotPublic(ipaddr.parse(address).toByteArray()), why)
  })
}
it("what is no address is not public", () => assert.equal(whyNotPublic([]), "no address"))
