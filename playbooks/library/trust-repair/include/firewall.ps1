# Tells whether Windows' firewall would still let the controller in once the PC's network is no
# longer the domain's. Needs probe.ps1. Rules of Group Policy do not count: they may go with it.

# Returns the local ports and remote addresses of the sessions by which controllers may be
# connected now. Over SSH the one is known; over WinRM all at its ports are taken.
function Get-ControllerSessions {
    $found = New-Object System.Collections.ArrayList
    if ($env:SSH_CONNECTION) {
        # Address and port of the other side, then our own.
        $parts = @($env:SSH_CONNECTION -split ' ')
        if ($parts.Count -ge 4) {
            [void]$found.Add([PSCustomObject][ordered]@{ port = [int]$parts[3]; remote = [string]$parts[0] })
            return $found.ToArray()
        }
    }
    $ports = New-Object System.Collections.ArrayList
    $listeners = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey('SOFTWARE\Microsoft\Windows\CurrentVersion\WSMAN\Listener')
    if ($null -ne $listeners) {
        try {
            foreach ($name in $listeners.GetSubKeyNames()) {
                $listener = $listeners.OpenSubKey($name)
                try { $port = $listener.GetValue('Port') } finally { $listener.Close() }
                if ($null -ne $port) { [void]$ports.Add([int]$port) }
            }
        } finally {
            $listeners.Close()
        }
    }
    if ($ports.Count -eq 0) { $ports.AddRange(@(5985, 5986)) }
    $known = @{}
    $network = [System.Net.NetworkInformation.IPGlobalProperties]::GetIPGlobalProperties()
    foreach ($connection in $network.GetActiveTcpConnections()) {
        if ($connection.State -ne [System.Net.NetworkInformation.TcpState]::Established) { continue }
        if (-not $ports.Contains([int]$connection.LocalEndPoint.Port)) { continue }
        $remote = $connection.RemoteEndPoint.Address
        if ([System.Net.IPAddress]::IsLoopback($remote)) { continue }
        $text = $remote.ToString()
        $key = $text + ' ' + $connection.LocalEndPoint.Port
        if ($known.ContainsKey($key)) { continue }
        $known[$key] = $true
        [void]$found.Add([PSCustomObject][ordered]@{ port = [int]$connection.LocalEndPoint.Port; remote = $text })
    }
    return $found.ToArray()
}

# Reads an address without the interface that may stand behind it.
function Read-Address([string]$Text) {
    $address = $null
    if (-not [System.Net.IPAddress]::TryParse(($Text -split '%')[0], [ref]$address)) { return $null }
    $bytes = $address.GetAddressBytes()
    # ::ffff:a.b.c.d is a.b.c.d.
    if ($bytes.Length -eq 16) {
        $mapped = $bytes[10] -eq 255 -and $bytes[11] -eq 255
        for ($i = 0; $i -lt 10; $i++) { if ($bytes[$i] -ne 0) { $mapped = $false } }
        if ($mapped) { $bytes = [byte[]]@($bytes[12], $bytes[13], $bytes[14], $bytes[15]) }
    }
    return , $bytes
}

# Makes a mask of so many leading bits.
function New-Mask([int]$Length, [int]$Bits) {
    $mask = New-Object byte[] $Length
    for ($i = 0; $i -lt $Length; $i++) {
        $left = [Math]::Max(0, [Math]::Min(8, $Bits - 8 * $i))
        $mask[$i] = [byte](256 - [Math]::Pow(2, 8 - $left))
    }
    return , $mask
}

# Tells whether two addresses are the same under a mask.
function Test-SameNet([byte[]]$One, [byte[]]$Other, [byte[]]$Mask) {
    if ($One.Length -ne $Other.Length -or $One.Length -ne $Mask.Length) { return $false }
    for ($i = 0; $i -lt $One.Length; $i++) {
        if (($One[$i] -band $Mask[$i]) -ne ($Other[$i] -band $Mask[$i])) { return $false }
    }
    return $true
}

# Orders two addresses of one length.
function Compare-Address([byte[]]$One, [byte[]]$Other) {
    for ($i = 0; $i -lt $One.Length; $i++) {
        if ($One[$i] -ne $Other[$i]) { return [int]$One[$i] - [int]$Other[$i] }
    }
    return 0
}

# Tells whether an address is in one of the PC's own subnets.
function Test-LocalSubnet([byte[]]$Address) {
    foreach ($adapter in [System.Net.NetworkInformation.NetworkInterface]::GetAllNetworkInterfaces()) {
        if ($adapter.OperationalStatus -ne [System.Net.NetworkInformation.OperationalStatus]::Up) { continue }
        foreach ($own in $adapter.GetIPProperties().UnicastAddresses) {
            $bytes = Read-Address $own.Address.ToString()
            if ($null -eq $bytes -or $bytes.Length -ne $Address.Length) { continue }
            $mask = New-Mask 16 64
            if ($bytes.Length -eq 4) {
                if ($null -eq $own.IPv4Mask) { continue }
                $mask = $own.IPv4Mask.GetAddressBytes()
            }
            if (Test-SameNet $bytes $Address $mask) { return $true }
        }
    }
    return $false
}

# Tells whether one entry of a rule's remote addresses covers an address.
function Test-RuleAddress([string]$Entry, [byte[]]$Address) {
    if ($Entry -eq '*') { return $true }
    if ($Entry -eq 'LocalSubnet') { return (Test-LocalSubnet $Address) }
    $bounds = @($Entry -split '-')
    if ($bounds.Count -eq 2) {
        $low = Read-Address $bounds[0]
        $high = Read-Address $bounds[1]
        if ($null -eq $low -or $null -eq $high -or $low.Length -ne $Address.Length -or $high.Length -ne $Address.Length) { return $false }
        return (Compare-Address $low $Address) -le 0 -and (Compare-Address $Address $high) -le 0
    }
    $parts = @($Entry -split '/')
    $net = Read-Address $parts[0]
    if ($null -eq $net) { return $false }
    $mask = New-Mask $net.Length (8 * $net.Length)
    if ($parts.Count -eq 2) {
        $bits = 0
        if ([int]::TryParse($parts[1], [ref]$bits)) { $mask = New-Mask $net.Length $bits } else { $mask = Read-Address $parts[1] }
        if ($null -eq $mask) { return $false }
    }
    return (Test-SameNet $net $Address $mask)
}

# Tells whether a rule's local ports, as "80,5985-5986", hold a port.
function Test-RulePort([string]$Ports, [int]$Port) {
    # Rules for every protocol have none.
    if (-not $Ports) { return $true }
    foreach ($entry in @($Ports -split ',')) {
        if ($entry -eq '*') { return $true }
        $bounds = @($entry -split '-')
        $low = 0
        $high = 0
        if (-not [int]::TryParse($bounds[0], [ref]$low)) { continue }
        if (-not [int]::TryParse($bounds[$bounds.Count - 1], [ref]$high)) { continue }
        if ($low -le $Port -and $Port -le $high) { return $true }
    }
    return $false
}

# Tells whether a rule is about the program behind the port: any, the kernel's listener, sshd, or
# a host of services.
function Test-RuleProgram([string]$Program) {
    if (-not $Program -or $Program -eq 'System' -or $Program -eq '*') { return $true }
    $name = @($Program -split '\\')[-1]
    return @('sshd.exe', 'svchost.exe') -contains $name
}

# Returns the rules that are about incoming TCP, read once: each property is a call.
function Get-InboundRules($Firewall) {
    $rules = New-Object System.Collections.ArrayList
    foreach ($rule in $Firewall.Rules) {
        # NET_FW_RULE_DIR_IN; NET_FW_IP_PROTOCOL_TCP, NET_FW_IP_PROTOCOL_ANY
        if (-not $rule.Enabled -or $rule.Direction -ne 1 -or @(6, 256) -notcontains $rule.Protocol) { continue }
        if (-not (Test-RuleProgram ([string]$rule.ApplicationName))) { continue }
        [void]$rules.Add(@{
            allow = $rule.Action -eq 1
            profiles = [long]$rule.Profiles
            ports = [string]$rule.LocalPorts
            remotes = @([string]$rule.RemoteAddresses -split ',')
            # Those that ask for IPsec, or for one interface only, let nobody in for certain.
            plain = -not $rule.SecureFlags -and [string]$rule.InterfaceTypes -eq 'All' -and @('', '*') -contains [string]$rule.LocalAddresses
        })
    }
    return $rules.ToArray()
}

# Tells whether a session of now would be admitted in a profile: 2 private, 4 public.
function Test-Admitted($Firewall, $Rules, [int]$Kind, $Session) {
    if (-not $Firewall.FirewallEnabled($Kind)) { return $true }
    if ($Firewall.BlockAllInboundTraffic($Kind)) { return $false }
    $address = Read-Address $Session.remote
    if ($null -eq $address) { return $false }
    # NET_FW_ACTION_ALLOW
    $admitted = $Firewall.DefaultInboundAction($Kind) -eq 1
    $names = @{ 2 = 'StandardProfile'; 4 = 'PublicProfile' }
    $policy = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey('SOFTWARE\Policies\Microsoft\WindowsFirewall\' + $names[$Kind])
    if ($null -ne $policy) {
        # 0: the PC's own rules are not looked at.
        try { if ($policy.GetValue('AllowLocalPolicyMerge') -eq 0) { return $admitted } } finally { $policy.Close() }
    }
    foreach ($rule in $Rules) {
        if (($rule.profiles -band $Kind) -eq 0 -or -not (Test-RulePort $rule.ports $Session.port)) { continue }
        $covers = $false
        foreach ($entry in $rule.remotes) {
            if (Test-RuleAddress $entry.Trim() $address) { $covers = $true }
        }
        if (-not $covers) { continue }
        # One that blocks wins.
        if (-not $rule.allow) { return $false }
        if ($rule.plain) { $admitted = $true }
    }
    return $admitted
}

# Tells whether every session of now would be admitted in the private and in the public profile.
function Get-Admission {
    $answer = [PSCustomObject][ordered]@{ sessions = @(); private = $null; public = $null }
    $answer.sessions = @(Get-ControllerSessions)
    if ($answer.sessions.Count -eq 0) { return $answer }
    $firewall = New-Object -ComObject HNetCfg.FwPolicy2
    $rules = @(Get-InboundRules $firewall)
    $answer.private = $true
    $answer.public = $true
    foreach ($session in $answer.sessions) {
        if (-not (Test-Admitted $firewall $rules 2 $session)) { $answer.private = $false }
        if (-not (Test-Admitted $firewall $rules 4 $session)) { $answer.public = $false }
    }
    return $answer
}
