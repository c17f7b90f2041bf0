# Asks a domain controller what time it is, by two means. Needs probe.ps1.

$Invariant = [System.Globalization.CultureInfo]::InvariantCulture

# Resolves a name within a time; an address is itself.
function Resolve-Address([string]$Name, [int]$Milliseconds) {
    $address = $null
    if ([System.Net.IPAddress]::TryParse($Name, [ref]$address)) { return $address }
    $asked = [System.Net.Dns]::BeginGetHostAddresses($Name, $null, $null)
    if (-not $asked.AsyncWaitHandle.WaitOne($Milliseconds)) {
        throw (New-Object System.ComponentModel.Win32Exception 1460)
    }
    return @([System.Net.Dns]::EndGetHostAddresses($asked))[0]
}

# Asks the controller's clock by SNTP (RFC 4330). Yields PC minus controller in seconds.
function Get-SntpOffset($Address) {
    $client = New-Object System.Net.Sockets.UdpClient $Address.AddressFamily
    try {
        $client.Client.ReceiveTimeout = 3000
        $client.Connect($Address, 123)
        $request = New-Object byte[] 48
        # Version 3, client.
        $request[0] = 27
        $sent = [datetime]::UtcNow
        [void]$client.Send($request, 48)
        $from = New-Object System.Net.IPEndPoint $Address, 0
        $reply = $client.Receive([ref]$from)
        $received = [datetime]::UtcNow
        # A reply without a stratum or a time is a refusal. ERROR_INVALID_DATA
        if ($reply.Length -lt 48 -or $reply[1] -eq 0) {
            throw (New-Object System.ComponentModel.Win32Exception 13)
        }
        $arrived = Read-NtpTime $reply 32
        $answered = Read-NtpTime $reply 40
        return ((($sent - $arrived).TotalSeconds + ($received - $answered).TotalSeconds) / 2)
    } finally {
        $client.Close()
    }
}

# Reads 64 bits of seconds and fraction since 1900; dates before 1968 belong to the next era.
function Read-NtpTime([byte[]]$Bytes, [int]$At) {
    $seconds = 0.0
    $fraction = 0.0
    for ($i = 0; $i -lt 4; $i++) {
        $seconds = $seconds * 256 + $Bytes[$At + $i]
        $fraction = $fraction * 256 + $Bytes[$At + 4 + $i]
    }
    if ($seconds -lt 2147483648) { $seconds += 4294967296 }
    $start = New-Object datetime 1900, 1, 1, 0, 0, 0, ([System.DateTimeKind]::Utc)
    return $start.AddSeconds($seconds + $fraction / 4294967296)
}

# Asks the controller's clock by LDAP: rootDSE may be read without logging on.
function Get-LdapOffset([string]$Server) {
    Add-Type -AssemblyName System.DirectoryServices.Protocols
    $connection = New-Object System.DirectoryServices.Protocols.LdapConnection $Server
    try {
        $connection.AuthType = [System.DirectoryServices.Protocols.AuthType]::Anonymous
        $connection.Timeout = [timespan]::FromSeconds(5)
        $connection.SessionOptions.ProtocolVersion = 3
        $scope = [System.DirectoryServices.Protocols.SearchScope]::Base
        $search = New-Object System.DirectoryServices.Protocols.SearchRequest '', '(objectClass=*)', $scope, 'currentTime'
        $reply = $connection.SendRequest($search)
        $now = [datetime]::UtcNow
        $text = [string]$reply.Entries[0].Attributes['currentTime'][0]
        $styles = [System.Globalization.DateTimeStyles]'AssumeUniversal, AdjustToUniversal'
        $theirs = [datetime]::ParseExact($text.Substring(0, 14), 'yyyyMMddHHmmss', $Invariant, $styles)
        return ($now - $theirs).TotalSeconds
    } finally {
        $connection.Dispose()
    }
}
