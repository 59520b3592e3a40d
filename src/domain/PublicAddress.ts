/**
 * Whether an IP address is one of the public internet, told by the special-purpose registries of IANA (RFC 6890 and what
 * followed): what a stranger may have this service connect to.
 */

type Range = readonly [address: ReadonlyArray<number>, bits: number, why: string]

/** https://www.iana.org/assignments/iana-ipv4-special-registry and multicast; everything else is public. */
const special4: ReadonlyArray<Range> = [
  [[0], 8, "unspecified"],
  [[10], 8, "private"],
  [[100, 64], 10, "shared with a carrier"],
  [[127], 8, "loopback"],
  [[169, 254], 16, "link-local"],
  [[172, 16], 12, "private"],
  [[192, 0, 0], 24, "reserved"],
  [[192, 0, 2], 24, "documentation"],
  [[192, 31, 196], 24, "reserved"],
  [[192, 52, 193], 24, "reserved"],
  [[192, 88, 99], 24, "6to4 relay"],
  [[192, 168], 16, "private"],
  [[192, 175, 48], 24, "reserved"],
  [[198, 18], 15, "benchmarking"],
  [[198, 51, 100], 24, "documentation"],
  [[203, 0, 113], 24, "documentation"],
  [[224], 4, "multicast"],
  [[240], 4, "reserved"]
]

/** Addresses of clouds that hand out credentials, and lie among public ones: Azure's host, Alibaba's is in 100.64/10. */
const metadata4: ReadonlyArray<Range> = [[[168, 63, 129, 16], 32, "a cloud's metadata"]]

/** What IPv6 is not global unicast; the first that fits says why. */
const special6: ReadonlyArray<Range> = [
  [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 128, "unspecified"],
  [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 128, "loopback"],
  [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff], 96, "IPv4 in IPv6"],
  [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 96, "IPv4 in IPv6"],
  [[0x00, 0x64, 0xff, 0x9b], 32, "IPv4 behind NAT64"],
  [[0x20, 0x01, 0x0d, 0xb8], 32, "documentation"],
  [[0x20, 0x01, 0x00], 23, "reserved, or IPv4 in Teredo"],
  [[0x20, 0x02], 16, "IPv4 in 6to4"],
  [[0x3f, 0xff], 20, "documentation"],
  [[0x26, 0x20, 0x00, 0x4f, 0x80], 48, "reserved"],
  [[0xfc], 7, "private"],
  [[0xfe, 0x80], 10, "link-local"],
  [[0xfe, 0xc0], 10, "site-local"],
  [[0xff], 8, "multicast"]
]

/** RFC 4291 §2.4, as IANA allocates it: nothing outside is global. */
const global6: Range = [[0x20], 3, "not global"]

/** What the address is, when it is not public. `bytes`: four or sixteen, in network order. */
export const whyNotPublic = (bytes: ReadonlyArray<number>): string | undefined => {
  if (bytes.length === 4) return [...special4, ...metadata4].find((range) => lies(bytes, range))?.[2]
  if (bytes.length !== 16) return "no address"
  return special6.find((range) => lies(bytes, range))?.[2] ?? (lies(bytes, global6) ? undefined : global6[2])
}

const lies = (bytes: ReadonlyArray<number>, [address, bits]: Range): boolean => {
  for (let at = 0; at * 8 < bits; at++) {
    const mask = (0xff << Math.max(0, 8 - (bits - at * 8))) & 0xff
    if ((bytes[at]! & mask) !== ((address[at] ?? 0) & mask)) return false
  }
  return true
}
